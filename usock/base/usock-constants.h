/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined(USOCK_INSIDE) && !defined(USOCK_COMPILATION)
#error "Only <usock/usock.h> can be included directly."
#endif

#include <gio/gio.h>

#include "usock-version.h"

G_BEGIN_DECLS

/* The numbers that Linux gives to what sockets have, where GIO gives none: for scripts, which have
 * no system headers, and for C, whose headers may be older than the kernel. They have the value of
 * the name without the prefix. */

/**
 * UsockFamily:
 * @USOCK_AF_UNSPEC: no family, or any
 * @USOCK_AF_UNIX: local sockets, see unix(7)
 * @USOCK_AF_INET: IPv4, see ip(7)
 * @USOCK_AF_INET6: IPv6, see ipv6(7)
 * @USOCK_AF_NETLINK: the kernel, see netlink(7)
 * @USOCK_AF_PACKET: the link layer, see packet(7)
 * @USOCK_AF_BLUETOOTH: Bluetooth
 * @USOCK_AF_ALG: cryptography of the kernel
 * @USOCK_AF_VSOCK: virtual machines, see vsock(7)
 * @USOCK_AF_XDP: the link layer, faster
 *
 * Address families. [enum@Gio.SocketFamily] has the first ones as well.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_AF_UNSPEC = 0,
  USOCK_AF_UNIX = 1,
  USOCK_AF_INET = 2,
  USOCK_AF_INET6 = 10,
  USOCK_AF_NETLINK = 16,
  USOCK_AF_PACKET = 17,
  USOCK_AF_BLUETOOTH = 31,
  USOCK_AF_ALG = 38,
  USOCK_AF_VSOCK = 40,
  USOCK_AF_XDP = 44,
} UsockFamily;

/**
 * UsockSockType:
 * @USOCK_SOCK_STREAM: a stream of bytes
 * @USOCK_SOCK_DGRAM: messages, each for itself
 * @USOCK_SOCK_RAW: packets of a protocol with their headers
 * @USOCK_SOCK_RDM: reliable messages in no order
 * @USOCK_SOCK_SEQPACKET: a connection that keeps messages apart
 * @USOCK_SOCK_DCCP: datagrams with congestion control
 * @USOCK_SOCK_PACKET: obsolete
 *
 * Types of sockets. [enum@Gio.SocketType] has the most usual ones, with other
 * numbers.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_SOCK_STREAM = 1,
  USOCK_SOCK_DGRAM = 2,
  USOCK_SOCK_RAW = 3,
  USOCK_SOCK_RDM = 4,
  USOCK_SOCK_SEQPACKET = 5,
  USOCK_SOCK_DCCP = 6,
  USOCK_SOCK_PACKET = 10,
} UsockSockType;

/**
 * UsockSockFlags:
 * @USOCK_SOCK_NONE: nothing special
 * @USOCK_SOCK_NONBLOCK: calls do not wait
 * @USOCK_SOCK_CLOEXEC: closed when another program is executed; here it always is
 *
 * What socket(2) and accept4(2) take beside the type.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  USOCK_SOCK_NONE = 0,
  USOCK_SOCK_NONBLOCK = 1 << 11,
  USOCK_SOCK_CLOEXEC = 1 << 19,
} UsockSockFlags;

/**
 * UsockProtocol:
 * @USOCK_IPPROTO_IP: the usual one of the type
 * @USOCK_IPPROTO_ICMP: control messages of IPv4
 * @USOCK_IPPROTO_IGMP: groups of IPv4
 * @USOCK_IPPROTO_TCP: streams
 * @USOCK_IPPROTO_UDP: datagrams
 * @USOCK_IPPROTO_DCCP: datagrams with congestion control
 * @USOCK_IPPROTO_IPV6: IPv6 in IPv4
 * @USOCK_IPPROTO_GRE: tunnels
 * @USOCK_IPPROTO_ESP: encrypted packets
 * @USOCK_IPPROTO_AH: signed packets
 * @USOCK_IPPROTO_ICMPV6: control messages of IPv6
 * @USOCK_IPPROTO_SCTP: messages in a connection
 * @USOCK_IPPROTO_UDPLITE: datagrams with partial checksums
 * @USOCK_IPPROTO_RAW: packets with their headers
 *
 * Protocols of internet sockets.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_IPPROTO_IP = 0,
  USOCK_IPPROTO_ICMP = 1,
  USOCK_IPPROTO_IGMP = 2,
  USOCK_IPPROTO_TCP = 6,
  USOCK_IPPROTO_UDP = 17,
  USOCK_IPPROTO_DCCP = 33,
  USOCK_IPPROTO_IPV6 = 41,
  USOCK_IPPROTO_GRE = 47,
  USOCK_IPPROTO_ESP = 50,
  USOCK_IPPROTO_AH = 51,
  USOCK_IPPROTO_ICMPV6 = 58,
  USOCK_IPPROTO_SCTP = 132,
  USOCK_IPPROTO_UDPLITE = 136,
  USOCK_IPPROTO_RAW = 255,
} UsockProtocol;

/**
 * UsockEtherType:
 * @USOCK_ETH_P_ALL: all packets
 * @USOCK_ETH_P_IP: IPv4
 * @USOCK_ETH_P_ARP: address resolution
 * @USOCK_ETH_P_VLAN: virtual networks
 * @USOCK_ETH_P_IPV6: IPv6
 * @USOCK_ETH_P_PAE: authentication of ports
 * @USOCK_ETH_P_LLDP: discovery of neighbours
 * @USOCK_ETH_P_LOOPBACK: loopback
 *
 * Protocols of packet sockets, see [property@Usock.PacketAddress:protocol].
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_ETH_P_ALL = 3,
  USOCK_ETH_P_IP = 2048,
  USOCK_ETH_P_ARP = 2054,
  USOCK_ETH_P_VLAN = 33024,
  USOCK_ETH_P_IPV6 = 34525,
  USOCK_ETH_P_PAE = 34958,
  USOCK_ETH_P_LLDP = 35020,
  USOCK_ETH_P_LOOPBACK = 36864,
} UsockEtherType;

/**
 * UsockShut:
 * @USOCK_SHUT_RD: nothing more is received
 * @USOCK_SHUT_WR: nothing more is sent
 * @USOCK_SHUT_RDWR: neither
 *
 * What shutdown(2) ends.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_SHUT_RD = 0,
  USOCK_SHUT_WR = 1,
  USOCK_SHUT_RDWR = 2,
} UsockShut;

/**
 * UsockPollFlags:
 * @USOCK_POLL_NONE: nothing
 * @USOCK_POLL_IN: something can be received
 * @USOCK_POLL_PRI: something urgent can be received
 * @USOCK_POLL_OUT: something can be sent
 * @USOCK_POLL_ERR: there is an error
 * @USOCK_POLL_HUP: the connection is gone
 * @USOCK_POLL_NVAL: there is no such descriptor
 * @USOCK_POLL_RDHUP: the peer has ended
 *
 * What poll(2) waits for and tells. [flags@GLib.IOCondition] has all but the
 * last.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  USOCK_POLL_NONE = 0,
  USOCK_POLL_IN = 1 << 0,
  USOCK_POLL_PRI = 1 << 1,
  USOCK_POLL_OUT = 1 << 2,
  USOCK_POLL_ERR = 1 << 3,
  USOCK_POLL_HUP = 1 << 4,
  USOCK_POLL_NVAL = 1 << 5,
  USOCK_POLL_RDHUP = 1 << 13,
} UsockPollFlags;

/**
 * UsockLevel:
 * @USOCK_SOL_IP: IPv4, [enum@Usock.IpOption]
 * @USOCK_SOL_SOCKET: all sockets, [enum@Usock.SocketOption]
 * @USOCK_SOL_TCP: TCP, [enum@Usock.TcpOption]
 * @USOCK_SOL_UDP: UDP, [enum@Usock.UdpOption]
 * @USOCK_SOL_IPV6: IPv6, [enum@Usock.Ipv6Option]
 * @USOCK_SOL_PACKET: packet sockets, [enum@Usock.PacketOption]
 * @USOCK_SOL_NETLINK: netlink sockets
 *
 * Of what an option or a control record is: the first argument of
 * [method@Usock.Socket.get_option].
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_SOL_IP = 0,
  USOCK_SOL_SOCKET = 1,
  USOCK_SOL_TCP = 6,
  USOCK_SOL_UDP = 17,
  USOCK_SOL_IPV6 = 41,
  USOCK_SOL_PACKET = 263,
  USOCK_SOL_NETLINK = 270,
} UsockLevel;

/**
 * UsockSocketOption:
 * @USOCK_SO_DEBUG: record what helps to debug the protocol
 * @USOCK_SO_REUSEADDR: allow a local address to be used again at once
 * @USOCK_SO_TYPE: type of the socket, a [enum@Usock.SockType]
 * @USOCK_SO_ERROR: the pending errno, which reading takes away
 * @USOCK_SO_DONTROUTE: send only to hosts of networks that are directly attached
 * @USOCK_SO_BROADCAST: allow to send to a broadcast address
 * @USOCK_SO_SNDBUF: size of the send buffer; the kernel doubles what is set
 * @USOCK_SO_RCVBUF: size of the receive buffer; the kernel doubles what is set
 * @USOCK_SO_KEEPALIVE: look now and then whether a silent peer is still there
 * @USOCK_SO_OOBINLINE: leave urgent data among the other data
 * @USOCK_SO_NO_CHECK: leave out the checksums of UDP
 * @USOCK_SO_PRIORITY: priority of what is sent; above 6 only for the privileged
 * @USOCK_SO_LINGER: how long closing waits for what was not sent yet
 * @USOCK_SO_BSDCOMPAT: does nothing any more
 * @USOCK_SO_REUSEPORT: share a local address with others that have this on
 * @USOCK_SO_PASSCRED: receive the credentials of who sends
 * @USOCK_SO_PEERCRED: who the peer is, or was when it connected
 * @USOCK_SO_RCVLOWAT: how many bytes make the socket readable
 * @USOCK_SO_SNDLOWAT: 1 on Linux, which cannot change it
 * @USOCK_SO_RCVTIMEO: how long receiving waits; 0 for ever
 * @USOCK_SO_SNDTIMEO: how long sending waits; 0 for ever
 * @USOCK_SO_BINDTODEVICE: the only interface to be used; empty for any
 * @USOCK_SO_ATTACH_FILTER: program that decides what is received; reading is `SO_GET_FILTER`
 * @USOCK_SO_DETACH_FILTER: remove the filter
 * @USOCK_SO_TIMESTAMP: receive the time of arrival in microseconds
 * @USOCK_SO_ACCEPTCONN: whether the socket listens
 * @USOCK_SO_PEERSEC: security label of the peer
 * @USOCK_SO_SNDBUFFORCE: size of the send buffer beyond the limit, for the privileged
 * @USOCK_SO_RCVBUFFORCE: size of the receive buffer beyond the limit, for the privileged
 * @USOCK_SO_PASSSEC: receive the security label of who sends
 * @USOCK_SO_TIMESTAMPNS: receive the time of arrival in nanoseconds
 * @USOCK_SO_MARK: mark of what is sent, for routing and filters
 * @USOCK_SO_TIMESTAMPING: which timestamps to make and tell, [flags@Usock.Timestamping]
 * @USOCK_SO_PROTOCOL: protocol of the socket
 * @USOCK_SO_DOMAIN: address family of the socket, a [enum@Usock.Family]
 * @USOCK_SO_RXQ_OVFL: receive the number of messages that were dropped
 * @USOCK_SO_WIFI_STATUS: receive whether a wireless frame was acknowledged
 * @USOCK_SO_PEEK_OFF: where a peek begins; -1 at the beginning
 * @USOCK_SO_NOFCS: the frame check sequence is in what is sent
 * @USOCK_SO_LOCK_FILTER: the filter cannot be changed any more; cannot be undone
 * @USOCK_SO_SELECT_ERR_QUEUE: poll tells of the error queue by an exceptional condition
 * @USOCK_SO_BUSY_POLL: microseconds to poll the device when nothing is there
 * @USOCK_SO_MAX_PACING_RATE: bytes a second to send at the most
 * @USOCK_SO_BPF_EXTENSIONS: which extensions the filters of this system know
 * @USOCK_SO_INCOMING_CPU: the processor whose packets the socket gets; -1 any
 * @USOCK_SO_ATTACH_BPF: eBPF program that decides what is received
 * @USOCK_SO_ATTACH_REUSEPORT_CBPF: program that spreads over those that share an address
 * @USOCK_SO_ATTACH_REUSEPORT_EBPF: eBPF program that spreads over those that share an address
 * @USOCK_SO_CNX_ADVICE: 1: the path is bad, look for another
 * @USOCK_SO_MEMINFO: memory in use, see `SK_MEMINFO_RMEM_ALLOC` and so on
 * @USOCK_SO_INCOMING_NAPI_ID: the queue of the device that the last packet came by
 * @USOCK_SO_COOKIE: number of the socket, never used again
 * @USOCK_SO_PEERGROUPS: groups of the peer when it connected
 * @USOCK_SO_ZEROCOPY: allow to send without a copy
 * @USOCK_SO_TXTIME: clock and flags of the times to send at
 * @USOCK_SO_BINDTOIFINDEX: the only interface to be used; empty for any
 * @USOCK_SO_TIMESTAMP_NEW: as `TIMESTAMP`, in 64 bits everywhere
 * @USOCK_SO_TIMESTAMPNS_NEW: as `TIMESTAMPNS`, in 64 bits everywhere
 * @USOCK_SO_TIMESTAMPING_NEW: as `TIMESTAMPING`, in 64 bits everywhere
 * @USOCK_SO_RCVTIMEO_NEW: as `RCVTIMEO`, in 64 bits everywhere
 * @USOCK_SO_SNDTIMEO_NEW: as `SNDTIMEO`, in 64 bits everywhere
 * @USOCK_SO_DETACH_REUSEPORT_BPF: remove what spreads over those that share an address
 * @USOCK_SO_PREFER_BUSY_POLL: poll the device rather than have it interrupt
 * @USOCK_SO_BUSY_POLL_BUDGET: how many packets a busy poll takes at the most
 * @USOCK_SO_NETNS_COOKIE: number of the network namespace
 * @USOCK_SO_BUF_LOCK: which buffers keep their size: 1 sending, 2 receiving, 3 both
 * @USOCK_SO_RESERVE_MEM: bytes to keep for this socket
 * @USOCK_SO_TXREHASH: whether to try other paths when packets are lost: 0, 1, or 255 as the system
 *   does
 * @USOCK_SO_RCVMARK: receive the mark of packets
 * @USOCK_SO_PASSPIDFD: receive a pidfd of who sends
 * @USOCK_SO_PEERPIDFD: a new pidfd of the peer, to be closed by who asked
 * @USOCK_SO_DEVMEM_DONTNEED: give back memory of a device
 * @USOCK_SO_RCVPRIORITY: receive the priority of packets
 * @USOCK_SO_PASSRIGHTS: receive descriptors; on unless it was switched off
 * @USOCK_SO_INQ: receive how many bytes wait behind those received
 *
 * Options of all sockets, of the level [enum@Usock.Level]; see socket(7).
 * What values they have stands in [Options](options.html).
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_SO_DEBUG = 1,
  USOCK_SO_REUSEADDR = 2,
  USOCK_SO_TYPE = 3,
  USOCK_SO_ERROR = 4,
  USOCK_SO_DONTROUTE = 5,
  USOCK_SO_BROADCAST = 6,
  USOCK_SO_SNDBUF = 7,
  USOCK_SO_RCVBUF = 8,
  USOCK_SO_KEEPALIVE = 9,
  USOCK_SO_OOBINLINE = 10,
  USOCK_SO_NO_CHECK = 11,
  USOCK_SO_PRIORITY = 12,
  USOCK_SO_LINGER = 13,
  USOCK_SO_BSDCOMPAT = 14,
  USOCK_SO_REUSEPORT = 15,
  USOCK_SO_PASSCRED = 16,
  USOCK_SO_PEERCRED = 17,
  USOCK_SO_RCVLOWAT = 18,
  USOCK_SO_SNDLOWAT = 19,
  USOCK_SO_RCVTIMEO = 20,
  USOCK_SO_SNDTIMEO = 21,
  USOCK_SO_BINDTODEVICE = 25,
  USOCK_SO_ATTACH_FILTER = 26,
  USOCK_SO_DETACH_FILTER = 27,
  USOCK_SO_TIMESTAMP = 29,
  USOCK_SO_ACCEPTCONN = 30,
  USOCK_SO_PEERSEC = 31,
  USOCK_SO_SNDBUFFORCE = 32,
  USOCK_SO_RCVBUFFORCE = 33,
  USOCK_SO_PASSSEC = 34,
  USOCK_SO_TIMESTAMPNS = 35,
  USOCK_SO_MARK = 36,
  USOCK_SO_TIMESTAMPING = 37,
  USOCK_SO_PROTOCOL = 38,
  USOCK_SO_DOMAIN = 39,
  USOCK_SO_RXQ_OVFL = 40,
  USOCK_SO_WIFI_STATUS = 41,
  USOCK_SO_PEEK_OFF = 42,
  USOCK_SO_NOFCS = 43,
  USOCK_SO_LOCK_FILTER = 44,
  USOCK_SO_SELECT_ERR_QUEUE = 45,
  USOCK_SO_BUSY_POLL = 46,
  USOCK_SO_MAX_PACING_RATE = 47,
  USOCK_SO_BPF_EXTENSIONS = 48,
  USOCK_SO_INCOMING_CPU = 49,
  USOCK_SO_ATTACH_BPF = 50,
  USOCK_SO_ATTACH_REUSEPORT_CBPF = 51,
  USOCK_SO_ATTACH_REUSEPORT_EBPF = 52,
  USOCK_SO_CNX_ADVICE = 53,
  USOCK_SO_MEMINFO = 55,
  USOCK_SO_INCOMING_NAPI_ID = 56,
  USOCK_SO_COOKIE = 57,
  USOCK_SO_PEERGROUPS = 59,
  USOCK_SO_ZEROCOPY = 60,
  USOCK_SO_TXTIME = 61,
  USOCK_SO_BINDTOIFINDEX = 62,
  USOCK_SO_TIMESTAMP_NEW = 63,
  USOCK_SO_TIMESTAMPNS_NEW = 64,
  USOCK_SO_TIMESTAMPING_NEW = 65,
  USOCK_SO_RCVTIMEO_NEW = 66,
  USOCK_SO_SNDTIMEO_NEW = 67,
  USOCK_SO_DETACH_REUSEPORT_BPF = 68,
  USOCK_SO_PREFER_BUSY_POLL = 69,
  USOCK_SO_BUSY_POLL_BUDGET = 70,
  USOCK_SO_NETNS_COOKIE = 71,
  USOCK_SO_BUF_LOCK = 72,
  USOCK_SO_RESERVE_MEM = 73,
  USOCK_SO_TXREHASH = 74,
  USOCK_SO_RCVMARK = 75,
  USOCK_SO_PASSPIDFD = 76,
  USOCK_SO_PEERPIDFD = 77,
  USOCK_SO_DEVMEM_DONTNEED = 80,
  USOCK_SO_RCVPRIORITY = 82,
  USOCK_SO_PASSRIGHTS = 83,
  USOCK_SO_INQ = 84,
} UsockSocketOption;

/**
 * UsockIpOption:
 * @USOCK_IP_TOS: type of service of what is sent
 * @USOCK_IP_TTL: time to live of what is sent; -1 for the default
 * @USOCK_IP_HDRINCL: what is sent has its header already
 * @USOCK_IP_OPTIONS: options of what is sent
 * @USOCK_IP_ROUTER_ALERT: receive packets with a router alert
 * @USOCK_IP_RECVOPTS: receive the options of packets
 * @USOCK_IP_RETOPTS: receive the options of packets, ready to answer with
 * @USOCK_IP_PKTINFO: receive to which address and interface packets came
 * @USOCK_IP_PKTOPTIONS: control records of the last packets of a stream
 * @USOCK_IP_MTU_DISCOVER: whether to find out the MTU of the path: 0 no, 1 as the route says, 2
 *   always, 3 probe, 4 interface, 5 omit
 * @USOCK_IP_RECVERR: keep errors in the error queue
 * @USOCK_IP_RECVTTL: receive the time to live of packets
 * @USOCK_IP_RECVTOS: receive the type of service of packets
 * @USOCK_IP_MTU: MTU of the path of a connected socket
 * @USOCK_IP_FREEBIND: allow to bind to an address that is not there yet
 * @USOCK_IP_IPSEC_POLICY: policy of IPsec
 * @USOCK_IP_XFRM_POLICY: policy of the transformations
 * @USOCK_IP_PASSSEC: receive the security context of packets
 * @USOCK_IP_TRANSPARENT: act for addresses of others, for proxies
 * @USOCK_IP_ORIGDSTADDR: receive the address that packets were sent to at first
 * @USOCK_IP_MINTTL: time to live that packets must have
 * @USOCK_IP_NODEFRAG: do not put fragments together
 * @USOCK_IP_CHECKSUM: receive the checksum of packets
 * @USOCK_IP_BIND_ADDRESS_NO_PORT: when bound to port 0, choose the port when connecting
 * @USOCK_IP_RECVFRAGSIZE: receive how large the largest fragment was
 * @USOCK_IP_RECVERR_RFC4884: errors in the error queue have the extensions of RFC 4884
 * @USOCK_IP_MULTICAST_IF: interface by which multicast leaves, by name, index or own address
 * @USOCK_IP_MULTICAST_TTL: time to live of multicast; -1 for the default
 * @USOCK_IP_MULTICAST_LOOP: receive our own multicast
 * @USOCK_IP_ADD_MEMBERSHIP: join a group
 * @USOCK_IP_DROP_MEMBERSHIP: leave a group
 * @USOCK_IP_UNBLOCK_SOURCE: hear a source again
 * @USOCK_IP_BLOCK_SOURCE: do not hear a source of a group
 * @USOCK_IP_ADD_SOURCE_MEMBERSHIP: join a group for one source
 * @USOCK_IP_DROP_SOURCE_MEMBERSHIP: leave a group for one source
 * @USOCK_IP_MSFILTER: which sources of a group to hear: mode 0 all but these, 1 only these
 * @USOCK_IP_MCAST_JOIN_GROUP: join a group
 * @USOCK_IP_MCAST_BLOCK_SOURCE: do not hear a source of a group
 * @USOCK_IP_MCAST_UNBLOCK_SOURCE: hear a source again
 * @USOCK_IP_MCAST_LEAVE_GROUP: leave a group
 * @USOCK_IP_MCAST_JOIN_SOURCE_GROUP: join a group for one source
 * @USOCK_IP_MCAST_LEAVE_SOURCE_GROUP: leave a group for one source
 * @USOCK_IP_MCAST_MSFILTER: which sources of a group to hear: mode 0 all but these, 1 only these
 * @USOCK_IP_MULTICAST_ALL: receive multicast of any group that the system joined
 * @USOCK_IP_UNICAST_IF: interface by which packets leave; empty for any
 * @USOCK_IP_LOCAL_PORT_RANGE: lowest and highest port to choose from; 0 for the default
 * @USOCK_IP_PROTOCOL: protocol of the socket
 * @USOCK_IP_ORIGINAL_DST: where the connection went before it was redirected
 *
 * Options of IPv4, see ip(7). What values they have stands in
 * [Options](options.html).
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_IP_TOS = 1,
  USOCK_IP_TTL = 2,
  USOCK_IP_HDRINCL = 3,
  USOCK_IP_OPTIONS = 4,
  USOCK_IP_ROUTER_ALERT = 5,
  USOCK_IP_RECVOPTS = 6,
  USOCK_IP_RETOPTS = 7,
  USOCK_IP_PKTINFO = 8,
  USOCK_IP_PKTOPTIONS = 9,
  USOCK_IP_MTU_DISCOVER = 10,
  USOCK_IP_RECVERR = 11,
  USOCK_IP_RECVTTL = 12,
  USOCK_IP_RECVTOS = 13,
  USOCK_IP_MTU = 14,
  USOCK_IP_FREEBIND = 15,
  USOCK_IP_IPSEC_POLICY = 16,
  USOCK_IP_XFRM_POLICY = 17,
  USOCK_IP_PASSSEC = 18,
  USOCK_IP_TRANSPARENT = 19,
  USOCK_IP_ORIGDSTADDR = 20,
  USOCK_IP_MINTTL = 21,
  USOCK_IP_NODEFRAG = 22,
  USOCK_IP_CHECKSUM = 23,
  USOCK_IP_BIND_ADDRESS_NO_PORT = 24,
  USOCK_IP_RECVFRAGSIZE = 25,
  USOCK_IP_RECVERR_RFC4884 = 26,
  USOCK_IP_MULTICAST_IF = 32,
  USOCK_IP_MULTICAST_TTL = 33,
  USOCK_IP_MULTICAST_LOOP = 34,
  USOCK_IP_ADD_MEMBERSHIP = 35,
  USOCK_IP_DROP_MEMBERSHIP = 36,
  USOCK_IP_UNBLOCK_SOURCE = 37,
  USOCK_IP_BLOCK_SOURCE = 38,
  USOCK_IP_ADD_SOURCE_MEMBERSHIP = 39,
  USOCK_IP_DROP_SOURCE_MEMBERSHIP = 40,
  USOCK_IP_MSFILTER = 41,
  USOCK_IP_MCAST_JOIN_GROUP = 42,
  USOCK_IP_MCAST_BLOCK_SOURCE = 43,
  USOCK_IP_MCAST_UNBLOCK_SOURCE = 44,
  USOCK_IP_MCAST_LEAVE_GROUP = 45,
  USOCK_IP_MCAST_JOIN_SOURCE_GROUP = 46,
  USOCK_IP_MCAST_LEAVE_SOURCE_GROUP = 47,
  USOCK_IP_MCAST_MSFILTER = 48,
  USOCK_IP_MULTICAST_ALL = 49,
  USOCK_IP_UNICAST_IF = 50,
  USOCK_IP_LOCAL_PORT_RANGE = 51,
  USOCK_IP_PROTOCOL = 52,
  USOCK_IP_ORIGINAL_DST = 80,
} UsockIpOption;

/**
 * UsockIpv6Option:
 * @USOCK_IPV6_ADDRFORM: turn the socket into one of IPv4, which is 2
 * @USOCK_IPV6_RFC2292_PKTINFO: as `RECVPKTINFO`, of the older standard
 * @USOCK_IPV6_RFC2292_HOPOPTS: as `RECVHOPOPTS`, of the older standard
 * @USOCK_IPV6_RFC2292_DSTOPTS: as `RECVDSTOPTS`, of the older standard
 * @USOCK_IPV6_RFC2292_RTHDR: as `RECVRTHDR`, of the older standard
 * @USOCK_IPV6_RFC2292_PKTOPTIONS: control records of what is sent, and of the last packets of a
 *   stream
 * @USOCK_IPV6_CHECKSUM: where in the packets of a raw socket the checksum is; -1 nowhere
 * @USOCK_IPV6_RFC2292_HOPLIMIT: as `RECVHOPLIMIT`, of the older standard
 * @USOCK_IPV6_FLOWINFO: receive the flow label of packets
 * @USOCK_IPV6_UNICAST_HOPS: hop limit of what is sent; -1 for the default
 * @USOCK_IPV6_MULTICAST_IF: interface by which multicast leaves; empty for any
 * @USOCK_IPV6_MULTICAST_HOPS: hop limit of multicast; -1 for the default
 * @USOCK_IPV6_MULTICAST_LOOP: receive our own multicast
 * @USOCK_IPV6_ADD_MEMBERSHIP: join a group
 * @USOCK_IPV6_DROP_MEMBERSHIP: leave a group
 * @USOCK_IPV6_ROUTER_ALERT: receive packets with this router alert; -1 none
 * @USOCK_IPV6_MTU_DISCOVER: whether to find out the MTU of the path, as in [enum@Usock.IpOption]
 * @USOCK_IPV6_MTU: MTU of the path, or of what is sent
 * @USOCK_IPV6_RECVERR: keep errors in the error queue
 * @USOCK_IPV6_V6ONLY: no IPv4 by way of mapped addresses
 * @USOCK_IPV6_JOIN_ANYCAST: answer to an anycast address
 * @USOCK_IPV6_LEAVE_ANYCAST: answer no more to an anycast address
 * @USOCK_IPV6_MULTICAST_ALL: receive multicast of any group that the system joined
 * @USOCK_IPV6_ROUTER_ALERT_ISOLATE: router alerts of the own network namespace only
 * @USOCK_IPV6_RECVERR_RFC4884: errors in the error queue have the extensions of RFC 4884
 * @USOCK_IPV6_FLOWLABEL_MGR: get, put back or renew a flow label
 * @USOCK_IPV6_FLOWINFO_SEND: the flow label of addresses is sent
 * @USOCK_IPV6_IPSEC_POLICY: policy of IPsec
 * @USOCK_IPV6_XFRM_POLICY: policy of the transformations
 * @USOCK_IPV6_HDRINCL: what is sent has its header already
 * @USOCK_IPV6_MCAST_JOIN_GROUP: join a group
 * @USOCK_IPV6_MCAST_BLOCK_SOURCE: do not hear a source of a group
 * @USOCK_IPV6_MCAST_UNBLOCK_SOURCE: hear a source again
 * @USOCK_IPV6_MCAST_LEAVE_GROUP: leave a group
 * @USOCK_IPV6_MCAST_JOIN_SOURCE_GROUP: join a group for one source
 * @USOCK_IPV6_MCAST_LEAVE_SOURCE_GROUP: leave a group for one source
 * @USOCK_IPV6_MCAST_MSFILTER: which sources of a group to hear: mode 0 all but these, 1 only these
 * @USOCK_IPV6_RECVPKTINFO: receive to which address and interface packets came
 * @USOCK_IPV6_PKTINFO: own address and interface of what is sent
 * @USOCK_IPV6_RECVHOPLIMIT: receive the hop limit of packets
 * @USOCK_IPV6_RECVHOPOPTS: receive the hop-by-hop options of packets
 * @USOCK_IPV6_HOPOPTS: hop-by-hop options of what is sent
 * @USOCK_IPV6_RTHDRDSTOPTS: destination options before the routing header
 * @USOCK_IPV6_RECVRTHDR: receive the routing header of packets
 * @USOCK_IPV6_RTHDR: routing header of what is sent
 * @USOCK_IPV6_RECVDSTOPTS: receive the destination options of packets
 * @USOCK_IPV6_DSTOPTS: destination options of what is sent
 * @USOCK_IPV6_RECVPATHMTU: receive changes of the MTU of the path
 * @USOCK_IPV6_PATHMTU: destination and MTU of the path of a connected socket
 * @USOCK_IPV6_DONTFRAG: never make fragments
 * @USOCK_IPV6_RECVTCLASS: receive the traffic class of packets
 * @USOCK_IPV6_TCLASS: traffic class of what is sent; -1 for the default
 * @USOCK_IPV6_AUTOFLOWLABEL: make flow labels by itself
 * @USOCK_IPV6_ADDR_PREFERENCES: which own addresses to prefer, see RFC 5014
 * @USOCK_IPV6_MINHOPCOUNT: hop limit that packets must have
 * @USOCK_IPV6_ORIGDSTADDR: receive the address that packets were sent to at first
 * @USOCK_IPV6_TRANSPARENT: act for addresses of others, for proxies
 * @USOCK_IPV6_UNICAST_IF: interface by which packets leave; empty for any
 * @USOCK_IPV6_RECVFRAGSIZE: receive how large the largest fragment was
 * @USOCK_IPV6_FREEBIND: allow to bind to an address that is not there yet
 * @USOCK_IPV6_ORIGINAL_DST: where the connection went before it was redirected
 *
 * Options of IPv6, see ipv6(7). What values they have stands in
 * [Options](options.html).
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_IPV6_ADDRFORM = 1,
  USOCK_IPV6_RFC2292_PKTINFO = 2,
  USOCK_IPV6_RFC2292_HOPOPTS = 3,
  USOCK_IPV6_RFC2292_DSTOPTS = 4,
  USOCK_IPV6_RFC2292_RTHDR = 5,
  USOCK_IPV6_RFC2292_PKTOPTIONS = 6,
  USOCK_IPV6_CHECKSUM = 7,
  USOCK_IPV6_RFC2292_HOPLIMIT = 8,
  USOCK_IPV6_FLOWINFO = 11,
  USOCK_IPV6_UNICAST_HOPS = 16,
  USOCK_IPV6_MULTICAST_IF = 17,
  USOCK_IPV6_MULTICAST_HOPS = 18,
  USOCK_IPV6_MULTICAST_LOOP = 19,
  USOCK_IPV6_ADD_MEMBERSHIP = 20,
  USOCK_IPV6_DROP_MEMBERSHIP = 21,
  USOCK_IPV6_ROUTER_ALERT = 22,
  USOCK_IPV6_MTU_DISCOVER = 23,
  USOCK_IPV6_MTU = 24,
  USOCK_IPV6_RECVERR = 25,
  USOCK_IPV6_V6ONLY = 26,
  USOCK_IPV6_JOIN_ANYCAST = 27,
  USOCK_IPV6_LEAVE_ANYCAST = 28,
  USOCK_IPV6_MULTICAST_ALL = 29,
  USOCK_IPV6_ROUTER_ALERT_ISOLATE = 30,
  USOCK_IPV6_RECVERR_RFC4884 = 31,
  USOCK_IPV6_FLOWLABEL_MGR = 32,
  USOCK_IPV6_FLOWINFO_SEND = 33,
  USOCK_IPV6_IPSEC_POLICY = 34,
  USOCK_IPV6_XFRM_POLICY = 35,
  USOCK_IPV6_HDRINCL = 36,
  USOCK_IPV6_MCAST_JOIN_GROUP = 42,
  USOCK_IPV6_MCAST_BLOCK_SOURCE = 43,
  USOCK_IPV6_MCAST_UNBLOCK_SOURCE = 44,
  USOCK_IPV6_MCAST_LEAVE_GROUP = 45,
  USOCK_IPV6_MCAST_JOIN_SOURCE_GROUP = 46,
  USOCK_IPV6_MCAST_LEAVE_SOURCE_GROUP = 47,
  USOCK_IPV6_MCAST_MSFILTER = 48,
  USOCK_IPV6_RECVPKTINFO = 49,
  USOCK_IPV6_PKTINFO = 50,
  USOCK_IPV6_RECVHOPLIMIT = 51,
  USOCK_IPV6_RECVHOPOPTS = 53,
  USOCK_IPV6_HOPOPTS = 54,
  USOCK_IPV6_RTHDRDSTOPTS = 55,
  USOCK_IPV6_RECVRTHDR = 56,
  USOCK_IPV6_RTHDR = 57,
  USOCK_IPV6_RECVDSTOPTS = 58,
  USOCK_IPV6_DSTOPTS = 59,
  USOCK_IPV6_RECVPATHMTU = 60,
  USOCK_IPV6_PATHMTU = 61,
  USOCK_IPV6_DONTFRAG = 62,
  USOCK_IPV6_RECVTCLASS = 66,
  USOCK_IPV6_TCLASS = 67,
  USOCK_IPV6_AUTOFLOWLABEL = 70,
  USOCK_IPV6_ADDR_PREFERENCES = 72,
  USOCK_IPV6_MINHOPCOUNT = 73,
  USOCK_IPV6_ORIGDSTADDR = 74,
  USOCK_IPV6_TRANSPARENT = 75,
  USOCK_IPV6_UNICAST_IF = 76,
  USOCK_IPV6_RECVFRAGSIZE = 77,
  USOCK_IPV6_FREEBIND = 78,
  USOCK_IPV6_ORIGINAL_DST = 80,
} UsockIpv6Option;

/**
 * UsockTcpOption:
 * @USOCK_TCP_NODELAY: send at once, also the smallest piece
 * @USOCK_TCP_MAXSEG: largest segment
 * @USOCK_TCP_CORK: send only full segments
 * @USOCK_TCP_KEEPIDLE: seconds of silence before the first probe
 * @USOCK_TCP_KEEPINTVL: seconds between probes
 * @USOCK_TCP_KEEPCNT: how many probes may go unanswered
 * @USOCK_TCP_SYNCNT: how often to try to connect again
 * @USOCK_TCP_LINGER2: seconds to wait for the end of the peer once closed; -1 not at all
 * @USOCK_TCP_DEFER_ACCEPT: seconds to wait for data before a connection is accepted
 * @USOCK_TCP_WINDOW_CLAMP: largest window to announce
 * @USOCK_TCP_INFO: all about the connection
 * @USOCK_TCP_QUICKACK: acknowledge at once, for a while
 * @USOCK_TCP_CONGESTION: name of the congestion control
 * @USOCK_TCP_MD5SIG: key that signs segments, a struct tcp_md5sig
 * @USOCK_TCP_THIN_LINEAR_TIMEOUTS: linear timeouts for thin streams
 * @USOCK_TCP_THIN_DUPACK: does nothing any more
 * @USOCK_TCP_USER_TIMEOUT: milliseconds that sent data may go unacknowledged; 0 for the default
 * @USOCK_TCP_REPAIR: take the connection apart to move it elsewhere: 1 on, 0 off, -1 off without
 *   probes
 * @USOCK_TCP_REPAIR_QUEUE: the queue that is repaired: 0 none, 1 receiving, 2 sending
 * @USOCK_TCP_QUEUE_SEQ: sequence number of the queue that is repaired
 * @USOCK_TCP_REPAIR_OPTIONS: negotiated options, of struct tcp_repair_opt
 * @USOCK_TCP_FASTOPEN: how many fast opens may wait; 0 switches it off
 * @USOCK_TCP_TIMESTAMP: clock of the timestamps
 * @USOCK_TCP_NOTSENT_LOWAT: how few bytes not sent yet make the socket writable
 * @USOCK_TCP_CC_INFO: what the congestion control tells
 * @USOCK_TCP_SAVE_SYN: keep the headers of the first packet: 1 from IP on, 2 from the link layer on
 * @USOCK_TCP_SAVED_SYN: the headers of the first packet, once
 * @USOCK_TCP_REPAIR_WINDOW: the windows, a struct tcp_repair_window
 * @USOCK_TCP_FASTOPEN_CONNECT: connect with the first data
 * @USOCK_TCP_ULP: protocol on top, `tls` for example
 * @USOCK_TCP_MD5SIG_EXT: as `MD5SIG`, with its flags
 * @USOCK_TCP_FASTOPEN_KEY: keys of the cookies, 16 or 32 bytes
 * @USOCK_TCP_FASTOPEN_NO_COOKIE: fast open without a cookie
 * @USOCK_TCP_INQ: receive how many bytes wait behind those received
 * @USOCK_TCP_TX_DELAY: microseconds to hold back what is sent
 * @USOCK_TCP_AO_ADD_KEY: add a key of the authentication option, a struct tcp_ao_add
 * @USOCK_TCP_AO_DEL_KEY: remove a key, a struct tcp_ao_del
 * @USOCK_TCP_AO_INFO: state of the authentication option, a struct tcp_ao_info_opt
 * @USOCK_TCP_AO_REPAIR: state to be moved elsewhere, a struct tcp_ao_repair
 * @USOCK_TCP_IS_MPTCP: whether the connection has several paths
 * @USOCK_TCP_RTO_MAX_MS: longest wait before sending again, in milliseconds
 * @USOCK_TCP_RTO_MIN_US: shortest wait before sending again, in microseconds
 * @USOCK_TCP_DELACK_MAX_US: longest delay of acknowledgements, in microseconds
 *
 * Options of TCP, see tcp(7). What values they have stands in
 * [Options](options.html).
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_TCP_NODELAY = 1,
  USOCK_TCP_MAXSEG = 2,
  USOCK_TCP_CORK = 3,
  USOCK_TCP_KEEPIDLE = 4,
  USOCK_TCP_KEEPINTVL = 5,
  USOCK_TCP_KEEPCNT = 6,
  USOCK_TCP_SYNCNT = 7,
  USOCK_TCP_LINGER2 = 8,
  USOCK_TCP_DEFER_ACCEPT = 9,
  USOCK_TCP_WINDOW_CLAMP = 10,
  USOCK_TCP_INFO = 11,
  USOCK_TCP_QUICKACK = 12,
  USOCK_TCP_CONGESTION = 13,
  USOCK_TCP_MD5SIG = 14,
  USOCK_TCP_THIN_LINEAR_TIMEOUTS = 16,
  USOCK_TCP_THIN_DUPACK = 17,
  USOCK_TCP_USER_TIMEOUT = 18,
  USOCK_TCP_REPAIR = 19,
  USOCK_TCP_REPAIR_QUEUE = 20,
  USOCK_TCP_QUEUE_SEQ = 21,
  USOCK_TCP_REPAIR_OPTIONS = 22,
  USOCK_TCP_FASTOPEN = 23,
  USOCK_TCP_TIMESTAMP = 24,
  USOCK_TCP_NOTSENT_LOWAT = 25,
  USOCK_TCP_CC_INFO = 26,
  USOCK_TCP_SAVE_SYN = 27,
  USOCK_TCP_SAVED_SYN = 28,
  USOCK_TCP_REPAIR_WINDOW = 29,
  USOCK_TCP_FASTOPEN_CONNECT = 30,
  USOCK_TCP_ULP = 31,
  USOCK_TCP_MD5SIG_EXT = 32,
  USOCK_TCP_FASTOPEN_KEY = 33,
  USOCK_TCP_FASTOPEN_NO_COOKIE = 34,
  USOCK_TCP_INQ = 36,
  USOCK_TCP_TX_DELAY = 37,
  USOCK_TCP_AO_ADD_KEY = 38,
  USOCK_TCP_AO_DEL_KEY = 39,
  USOCK_TCP_AO_INFO = 40,
  USOCK_TCP_AO_REPAIR = 42,
  USOCK_TCP_IS_MPTCP = 43,
  USOCK_TCP_RTO_MAX_MS = 44,
  USOCK_TCP_RTO_MIN_US = 45,
  USOCK_TCP_DELACK_MAX_US = 46,
} UsockTcpOption;

/**
 * UsockUdpOption:
 * @USOCK_UDP_CORK: gather what is sent in one datagram
 * @USOCK_UDP_ENCAP: which encapsulation to take off
 * @USOCK_UDP_NO_CHECK6_TX: send without checksums over IPv6
 * @USOCK_UDP_NO_CHECK6_RX: receive without checksums over IPv6
 * @USOCK_UDP_SEGMENT: cut what is sent into datagrams of this size; 0 not at all
 * @USOCK_UDP_GRO: receive several datagrams at once
 *
 * Options of UDP, see udp(7). What values they have stands in
 * [Options](options.html).
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_UDP_CORK = 1,
  USOCK_UDP_ENCAP = 100,
  USOCK_UDP_NO_CHECK6_TX = 101,
  USOCK_UDP_NO_CHECK6_RX = 102,
  USOCK_UDP_SEGMENT = 103,
  USOCK_UDP_GRO = 104,
} UsockUdpOption;

/**
 * UsockPacketOption:
 * @USOCK_PACKET_ADD_MEMBERSHIP: receive more: multicast, or everything
 * @USOCK_PACKET_DROP_MEMBERSHIP: undo that
 * @USOCK_PACKET_RX_RING: ring buffer to receive by
 * @USOCK_PACKET_STATISTICS: packets that came, and that were dropped, since last asked
 * @USOCK_PACKET_COPY_THRESH: how large a packet must be to be copied beside the ring
 * @USOCK_PACKET_AUXDATA: receive what is known about packets
 * @USOCK_PACKET_ORIGDEV: addresses tell the original interface
 * @USOCK_PACKET_VERSION: layout of the ring: 0, 1 or 2 for TPACKET_V1 to V3
 * @USOCK_PACKET_HDRLEN: length of a header in the ring
 * @USOCK_PACKET_RESERVE: bytes to leave free before headers in the ring
 * @USOCK_PACKET_TX_RING: ring buffer to send by
 * @USOCK_PACKET_LOSS: drop malformed packets of the ring, rather than stop
 * @USOCK_PACKET_VNET_HDR: packets have a struct virtio_net_hdr before them
 * @USOCK_PACKET_TX_TIMESTAMP: not implemented by Linux
 * @USOCK_PACKET_TIMESTAMP: which timestamps the ring has, [flags@Usock.Timestamping]
 * @USOCK_PACKET_FANOUT: share packets with others: group, mode and flags
 * @USOCK_PACKET_TX_HAS_OFF: packets in the ring tell where they begin
 * @USOCK_PACKET_QDISC_BYPASS: send without the queue of the interface
 * @USOCK_PACKET_ROLLOVER_STATS: packets that went to another socket of the group: all, huge, failed
 * @USOCK_PACKET_FANOUT_DATA: program that chooses the socket of the group
 * @USOCK_PACKET_IGNORE_OUTGOING: do not receive what is sent
 * @USOCK_PACKET_VNET_HDR_SZ: length of the struct virtio_net_hdr
 *
 * Options of packet sockets, see packet(7). What values they have stands in
 * [Options](options.html).
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_PACKET_ADD_MEMBERSHIP = 1,
  USOCK_PACKET_DROP_MEMBERSHIP = 2,
  USOCK_PACKET_RX_RING = 5,
  USOCK_PACKET_STATISTICS = 6,
  USOCK_PACKET_COPY_THRESH = 7,
  USOCK_PACKET_AUXDATA = 8,
  USOCK_PACKET_ORIGDEV = 9,
  USOCK_PACKET_VERSION = 10,
  USOCK_PACKET_HDRLEN = 11,
  USOCK_PACKET_RESERVE = 12,
  USOCK_PACKET_TX_RING = 13,
  USOCK_PACKET_LOSS = 14,
  USOCK_PACKET_VNET_HDR = 15,
  USOCK_PACKET_TX_TIMESTAMP = 16,
  USOCK_PACKET_TIMESTAMP = 17,
  USOCK_PACKET_FANOUT = 18,
  USOCK_PACKET_TX_HAS_OFF = 19,
  USOCK_PACKET_QDISC_BYPASS = 20,
  USOCK_PACKET_ROLLOVER_STATS = 21,
  USOCK_PACKET_FANOUT_DATA = 22,
  USOCK_PACKET_IGNORE_OUTGOING = 23,
  USOCK_PACKET_VNET_HDR_SZ = 24,
} UsockPacketOption;

/**
 * UsockPacketType:
 * @USOCK_PACKET_TYPE_HOST: for this host
 * @USOCK_PACKET_TYPE_BROADCAST: for all
 * @USOCK_PACKET_TYPE_MULTICAST: for a group
 * @USOCK_PACKET_TYPE_OTHERHOST: for another host
 * @USOCK_PACKET_TYPE_OUTGOING: sent by this host
 * @USOCK_PACKET_TYPE_LOOPBACK: sent to a group and looped back
 * @USOCK_PACKET_TYPE_USER: for user space
 * @USOCK_PACKET_TYPE_KERNEL: for the kernel
 *
 * For whom a packet is, see [property@Usock.PacketAddress:packet-type].
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_PACKET_TYPE_HOST = 0,
  USOCK_PACKET_TYPE_BROADCAST = 1,
  USOCK_PACKET_TYPE_MULTICAST = 2,
  USOCK_PACKET_TYPE_OTHERHOST = 3,
  USOCK_PACKET_TYPE_OUTGOING = 4,
  USOCK_PACKET_TYPE_LOOPBACK = 5,
  USOCK_PACKET_TYPE_USER = 6,
  USOCK_PACKET_TYPE_KERNEL = 7,
} UsockPacketType;

/**
 * UsockPacketMembership:
 * @USOCK_PACKET_MR_MULTICAST: packets for a group
 * @USOCK_PACKET_MR_PROMISC: all packets
 * @USOCK_PACKET_MR_ALLMULTI: packets for any group
 * @USOCK_PACKET_MR_UNICAST: packets for another address
 *
 * What else to receive, with [enum@Usock.PacketOption].
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_PACKET_MR_MULTICAST = 0,
  USOCK_PACKET_MR_PROMISC = 1,
  USOCK_PACKET_MR_ALLMULTI = 2,
  USOCK_PACKET_MR_UNICAST = 3,
} UsockPacketMembership;

/**
 * UsockPacketFanout:
 * @USOCK_PACKET_FANOUT_HASH: by connection
 * @USOCK_PACKET_FANOUT_LB: in turn
 * @USOCK_PACKET_FANOUT_CPU: by processor
 * @USOCK_PACKET_FANOUT_ROLLOVER: to the next when one is full
 * @USOCK_PACKET_FANOUT_RND: by chance
 * @USOCK_PACKET_FANOUT_QM: by queue of the interface
 * @USOCK_PACKET_FANOUT_CBPF: by a program
 * @USOCK_PACKET_FANOUT_EBPF: by an eBPF program
 * @USOCK_PACKET_FANOUT_FLAG_ROLLOVER: flag: to the next when one is full
 * @USOCK_PACKET_FANOUT_FLAG_UNIQUEID: flag: choose a new group
 * @USOCK_PACKET_FANOUT_FLAG_IGNORE_OUTGOING: flag: nothing that is sent
 * @USOCK_PACKET_FANOUT_FLAG_DEFRAG: flag: put fragments together first
 *
 * How packet sockets share packets, with [enum@Usock.PacketOption].
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_PACKET_FANOUT_HASH = 0,
  USOCK_PACKET_FANOUT_LB = 1,
  USOCK_PACKET_FANOUT_CPU = 2,
  USOCK_PACKET_FANOUT_ROLLOVER = 3,
  USOCK_PACKET_FANOUT_RND = 4,
  USOCK_PACKET_FANOUT_QM = 5,
  USOCK_PACKET_FANOUT_CBPF = 6,
  USOCK_PACKET_FANOUT_EBPF = 7,
  USOCK_PACKET_FANOUT_FLAG_ROLLOVER = 4096,
  USOCK_PACKET_FANOUT_FLAG_UNIQUEID = 8192,
  USOCK_PACKET_FANOUT_FLAG_IGNORE_OUTGOING = 16384,
  USOCK_PACKET_FANOUT_FLAG_DEFRAG = 32768,
} UsockPacketFanout;

/**
 * UsockControlType:
 * @USOCK_SCM_RIGHTS: descriptors
 * @USOCK_SCM_CREDENTIALS: who sent it
 * @USOCK_SCM_SECURITY: security label of who sent it
 * @USOCK_SCM_PIDFD: pidfd of who sent it
 * @USOCK_SCM_PRIORITY: its priority
 * @USOCK_SCM_TIMESTAMP: when it came, in microseconds
 * @USOCK_SCM_TIMESTAMPNS: when it came, in nanoseconds
 * @USOCK_SCM_MARK: its mark
 * @USOCK_SCM_TIMESTAMPING: when it came, by several clocks
 * @USOCK_SCM_RXQ_OVFL: how many messages were dropped
 * @USOCK_SCM_WIFI_STATUS: whether a wireless frame was acknowledged
 * @USOCK_SCM_TIMESTAMPING_OPT_STATS: how the connection did
 * @USOCK_SCM_TIMESTAMPING_PKTINFO: interface and length on the wire
 * @USOCK_SCM_TXTIME: when to send it
 * @USOCK_SCM_TIMESTAMP_NEW: when it came, in 64 bits everywhere
 * @USOCK_SCM_TIMESTAMPNS_NEW: when it came, in 64 bits everywhere
 * @USOCK_SCM_TIMESTAMPING_NEW: when it came, in 64 bits everywhere
 * @USOCK_SCM_DEVMEM_LINEAR: memory of a device, copied
 * @USOCK_SCM_DEVMEM_DMABUF: memory of a device
 * @USOCK_SCM_TS_OPT_ID: number of the timestamp
 * @USOCK_SCM_INQ: how many bytes wait behind
 *
 * Control records of the level of all sockets. Those of other levels have the
 * number of the option that switches them on.
 *
 * Since: 1.0
 */
typedef enum
{
  USOCK_SCM_RIGHTS = 1,
  USOCK_SCM_CREDENTIALS = 2,
  USOCK_SCM_SECURITY = 3,
  USOCK_SCM_PIDFD = 4,
  USOCK_SCM_PRIORITY = 12,
  USOCK_SCM_TIMESTAMP = 29,
  USOCK_SCM_TIMESTAMPNS = 35,
  USOCK_SCM_MARK = 36,
  USOCK_SCM_TIMESTAMPING = 37,
  USOCK_SCM_RXQ_OVFL = 40,
  USOCK_SCM_WIFI_STATUS = 41,
  USOCK_SCM_TIMESTAMPING_OPT_STATS = 54,
  USOCK_SCM_TIMESTAMPING_PKTINFO = 58,
  USOCK_SCM_TXTIME = 61,
  USOCK_SCM_TIMESTAMP_NEW = 63,
  USOCK_SCM_TIMESTAMPNS_NEW = 64,
  USOCK_SCM_TIMESTAMPING_NEW = 65,
  USOCK_SCM_DEVMEM_LINEAR = 78,
  USOCK_SCM_DEVMEM_DMABUF = 79,
  USOCK_SCM_TS_OPT_ID = 81,
  USOCK_SCM_INQ = 84,
} UsockControlType;

/**
 * UsockTimestamping:
 * @USOCK_SOF_TIMESTAMPING_NONE: none
 * @USOCK_SOF_TIMESTAMPING_TX_HARDWARE: when the device sent it
 * @USOCK_SOF_TIMESTAMPING_TX_SOFTWARE: when it was given to the device
 * @USOCK_SOF_TIMESTAMPING_RX_HARDWARE: when the device received it
 * @USOCK_SOF_TIMESTAMPING_RX_SOFTWARE: when the kernel received it
 * @USOCK_SOF_TIMESTAMPING_SOFTWARE: tell those of the kernel
 * @USOCK_SOF_TIMESTAMPING_SYS_HARDWARE: does nothing any more
 * @USOCK_SOF_TIMESTAMPING_RAW_HARDWARE: tell those of the device
 * @USOCK_SOF_TIMESTAMPING_OPT_ID: number them
 * @USOCK_SOF_TIMESTAMPING_TX_SCHED: when it entered the queue
 * @USOCK_SOF_TIMESTAMPING_TX_ACK: when it was acknowledged
 * @USOCK_SOF_TIMESTAMPING_OPT_CMSG: tell the address with all of them
 * @USOCK_SOF_TIMESTAMPING_OPT_TSONLY: do not give back what was sent
 * @USOCK_SOF_TIMESTAMPING_OPT_STATS: tell how the connection did
 * @USOCK_SOF_TIMESTAMPING_OPT_PKTINFO: tell the interface
 * @USOCK_SOF_TIMESTAMPING_OPT_TX_SWHW: tell those of kernel and device
 * @USOCK_SOF_TIMESTAMPING_BIND_PHC: by a certain clock
 * @USOCK_SOF_TIMESTAMPING_OPT_ID_TCP: number them from the connection on
 * @USOCK_SOF_TIMESTAMPING_OPT_RX_FILTER: only those asked for
 * @USOCK_SOF_TIMESTAMPING_TX_COMPLETION: when the device said that it is done
 *
 * Which timestamps to make and to tell.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  USOCK_SOF_TIMESTAMPING_NONE = 0,
  USOCK_SOF_TIMESTAMPING_TX_HARDWARE = 1 << 0,
  USOCK_SOF_TIMESTAMPING_TX_SOFTWARE = 1 << 1,
  USOCK_SOF_TIMESTAMPING_RX_HARDWARE = 1 << 2,
  USOCK_SOF_TIMESTAMPING_RX_SOFTWARE = 1 << 3,
  USOCK_SOF_TIMESTAMPING_SOFTWARE = 1 << 4,
  USOCK_SOF_TIMESTAMPING_SYS_HARDWARE = 1 << 5,
  USOCK_SOF_TIMESTAMPING_RAW_HARDWARE = 1 << 6,
  USOCK_SOF_TIMESTAMPING_OPT_ID = 1 << 7,
  USOCK_SOF_TIMESTAMPING_TX_SCHED = 1 << 8,
  USOCK_SOF_TIMESTAMPING_TX_ACK = 1 << 9,
  USOCK_SOF_TIMESTAMPING_OPT_CMSG = 1 << 10,
  USOCK_SOF_TIMESTAMPING_OPT_TSONLY = 1 << 11,
  USOCK_SOF_TIMESTAMPING_OPT_STATS = 1 << 12,
  USOCK_SOF_TIMESTAMPING_OPT_PKTINFO = 1 << 13,
  USOCK_SOF_TIMESTAMPING_OPT_TX_SWHW = 1 << 14,
  USOCK_SOF_TIMESTAMPING_BIND_PHC = 1 << 15,
  USOCK_SOF_TIMESTAMPING_OPT_ID_TCP = 1 << 16,
  USOCK_SOF_TIMESTAMPING_OPT_RX_FILTER = 1 << 17,
  USOCK_SOF_TIMESTAMPING_TX_COMPLETION = 1 << 18,
} UsockTimestamping;

G_END_DECLS
