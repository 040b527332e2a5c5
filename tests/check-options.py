#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The constants, the table of options, the system's headers and the reference say the same.

check-options.py SOURCE-ROOT CC [--write]

With --write, the tables of doc/options.md are made anew.
"""

import pathlib
import re
import shlex
import subprocess
import sys

HEADERS = ['errno.h', 'poll.h', 'sys/socket.h', 'netinet/in.h', 'linux/errqueue.h',
           'linux/if_ether.h', 'linux/if_packet.h', 'linux/net_tstamp.h',
           'linux/netfilter_ipv4.h', 'linux/tcp.h', 'linux/udp.h', 'asm/socket.h']

# Which enumeration names the options of a level, by their prefix.
LEVELS = {'SOCKET': 'SO_', 'IP': 'IP_', 'IPV6': 'IPV6_', 'TCP': 'TCP_', 'UDP': 'UDP_',
          'PACKET': 'PACKET_'}
TITLES = {'SOCKET': 'All sockets', 'IP': 'IPv4', 'IPV6': 'IPv6', 'TCP': 'TCP', 'UDP': 'UDP',
          'PACKET': 'Packet sockets'}

# Under what the system knows those that could not keep their name.
SYSTEM_NAMES = [
    (r'IP(?:V6)?_(MCAST_\w+)', r'\1'), (r'IP(?:V6)?_ORIGINAL_DST', 'SO_ORIGINAL_DST'),
    (r'IPV6_RFC2292_(\w+)', r'IPV6_2292\1'), (r'PACKET_TYPE_(\w+)', r'PACKET_\1'),
    (r'POLL_(\w+)', r'POLL\1'), (r'SCM_(PRIORITY|MARK|RXQ_OVFL)', r'SO_\1'),
    (r'SCM_(TIMESTAMP\w*_NEW)', r'SO_\1'), (r'ETH_P_VLAN', 'ETH_P_8021Q'),
    (r'SOCK_FLAGS_(\w+)', r'SOCK_\1'), (r'IPV6_ADD_MEMBERSHIP', 'IPV6_JOIN_GROUP'),
    (r'IPV6_DROP_MEMBERSHIP', 'IPV6_LEAVE_GROUP'), (r'SOL_(TCP|UDP|IP|IPV6)', r'IPPROTO_\1'),
]

# Newer than the headers of some systems; if these have them, the values are compared.
NEW = {
    'SO_DEVMEM_DONTNEED', 'SO_INQ', 'SO_PASSPIDFD', 'SO_PASSRIGHTS', 'SO_PEERPIDFD',
    'SO_RCVPRIORITY', 'SO_PRIORITY', 'SO_RCVMARK', 'SO_RESERVE_MEM', 'SO_TXREHASH', 'SO_BUF_LOCK',
    'SO_NETNS_COOKIE', 'SCM_PIDFD', 'SCM_SECURITY', 'SCM_DEVMEM_LINEAR', 'SCM_DEVMEM_DMABUF',
    'SCM_TS_OPT_ID', 'SCM_INQ', 'IP_LOCAL_PORT_RANGE', 'IP_PROTOCOL', 'TCP_AO_ADD_KEY',
    'TCP_AO_DEL_KEY', 'TCP_AO_INFO', 'TCP_AO_REPAIR', 'TCP_IS_MPTCP', 'TCP_RTO_MAX_MS',
    'TCP_RTO_MIN_US', 'TCP_DELACK_MAX_US', 'PACKET_VNET_HDR_SZ',
    'PACKET_FANOUT_FLAG_IGNORE_OUTGOING', 'SOF_TIMESTAMPING_OPT_ID_TCP',
    'SOF_TIMESTAMPING_OPT_RX_FILTER', 'SOF_TIMESTAMPING_TX_COMPLETION',
}

# Only in headers that exclude the C library's.
ELSEWHERE = {'IPV6_FLOWINFO', 'IPV6_FLOWINFO_SEND', 'IPV6_FLOWLABEL_MGR'}

# What the headers have and the table does not: other names of the same, what Linux never did, and
# what hands the kernel addresses of the program's memory.
OTHER_NAMES = {'SO_DEVMEM_DMABUF', 'SO_DEVMEM_LINEAR', 'SO_GET_FILTER', 'SO_DETACH_BPF', 'SO_TIMESTAMP_OLD', 'SO_TIMESTAMPNS_OLD',
               'SO_TIMESTAMPING_OLD', 'SO_RCVTIMEO_OLD', 'SO_SNDTIMEO_OLD', 'IP_RECVRETOPTS',
               'IP_RECVORIGDSTADDR', 'IPV6_RECVORIGDSTADDR', 'TCP_CM_INQ', 'IPV6_JOIN_GROUP',
               'IPV6_LEAVE_GROUP', 'IPV6_ADD_MEMBERSHIP',
               'IPV6_DROP_MEMBERSHIP', 'IPV6_RXHOPOPTS', 'IPV6_RXDSTOPTS', 'IPV6_HOPLIMIT'}
NEVER_DONE = {'SO_SECURITY_AUTHENTICATION', 'SO_SECURITY_ENCRYPTION_TRANSPORT',
              'SO_SECURITY_ENCRYPTION_NETWORK', 'IPV6_AUTHHDR', 'IPV6_NEXTHOP',
              'IPV6_USE_MIN_MTU', 'PACKET_RECV_OUTPUT'}
UNSAFE = {'TCP_ZEROCOPY_RECEIVE', 'TCP_AO_GET_KEYS', 'SO_PEERNAME'}
NO_OPTIONS = re.compile(r'''IPV6_(FL_|FLOWINFO_(FLOW|PRIO)|PRIORITY|TLV|PMTUDISC|PREFER|RTHDR_|SRCRT)
    |IP_(PMTUDISC|DEFAULT|MAX_MEM|MSFILTER_SIZE)|TCP_(ACCECN_|MSS|REPAIR_O|MD5SIG_|RECEIVE_|AO_MAX|AO_KEYF)
    |UDP_ENCAP_|TCP_ENCAP|PACKET_(HOST|BROADCAST|MULTICAST|OTHERHOST|OUTGOING|LOOPBACK|USER|KERNEL|FASTROUTE
    |FANOUT_[^D]|FANOUT_DEFRAG|MR_)|SO_(ORIGINAL_DST|EE_)''', re.X)
OPTION_NAME = re.compile(r'(SO|IP|IPV6|TCP|UDP|PACKET)_[A-Z0-9_]+|MCAST_(JOIN|LEAVE|BLOCK|UNBLOCK|MSF)\w+')


def system_name(name):
    for pattern, replacement in SYSTEM_NAMES:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(replacement)
    return name


def preprocess(compiler, *flags, text=''):
    source = ''.join(f'#include <{header}>\n' for header in HEADERS) + text
    return subprocess.run([*compiler, '-D_GNU_SOURCE', '-x', 'c', *flags, '-'], input=source,
                          capture_output=True, text=True, check=False)


def constants(root):
    """The members of every enumeration whose values are the kernel's, with what is said of them."""
    found = {}
    text = (root / 'usock/base/usock-constants.h').read_text()
    text += re.search(r'/\*\*\n \* UsockMsgFlags:.*?\} UsockMsgFlags;',
                      (root / 'usock/base/usock-types.h').read_text(), re.S).group()
    for name, value in re.findall(r'^  USOCK_(\w+) = ([^,]+),$', text, re.M):
        found[name] = eval(value)  # pylint: disable=eval-used
    docs = {name: ' '.join(doc.split()).replace(' * ', ' ') for name, doc in
            re.findall(r'^ \* @USOCK_(\w+): (.*?)(?=\n \* @|\n \*\n)', text, re.M | re.S)}
    return found, docs


def table(root):
    rows = re.findall(r'^  OPTION \((\w+), (\w+), (\w+), (\w+), (-?\w+), (-?\w+)\),$',
                      (root / 'usock/option/usock-option-table.c').read_text(), re.M)
    formats = dict(re.findall(r'\[USOCK_OPTION_(\w+)\] = \{ "([^"]*)"',
                              (root / 'usock/option/usock-option-pack.c').read_text()))
    return [(level, name, kind, formats[kind], access, low, high)
            for level, name, kind, access, low, high in rows]


def value_problems(values, compiler):
    macros = preprocess(compiler, '-dM', '-E').stdout
    defined = set(re.findall(r'^#define (\w+)', macros, re.M))
    assertions = ''
    for name, value in values.items():
        known = system_name(name)
        if name.endswith('_NONE') or known in ELSEWHERE:
            continue
        if known in defined or known not in NEW:
            assertions += f'_Static_assert (({known}) == {value}, "{name}");\n'
    errors = preprocess(compiler, '-fsyntax-only', text=assertions).stderr
    return re.findall(r'error: (.*)', errors), defined


def missing_problems(rows, values, defined):
    names = {system_name(name) for name in values}
    for name in sorted(defined):
        if (OPTION_NAME.fullmatch(name) and not NO_OPTIONS.match(name) and name not in names
                and name not in OTHER_NAMES | NEVER_DONE | UNSAFE):
            yield f'{name} is in the headers and nowhere here'
    for prefix in LEVELS.values():
        listed = {name for _, name, *_ in rows if name.startswith(prefix)}
        for name in values:
            if (name.startswith(prefix) and name not in listed
                    and not name.startswith(('PACKET_TYPE_', 'PACKET_MR_'))
                    and not re.match('PACKET_FANOUT_(?!DATA)', name)):
                yield f'{name} is not in the table of options'


def shown_range(kind, low, high):
    if kind in ('STRING', 'BYTES'):
        return f'{low} to {high} bytes' if low != high else f'{low} bytes'
    if kind not in ('INT', 'UINT') or (low, high) in (
            ('G_MININT', 'G_MAXINT'), ('0', 'G_MAXUINT32')):
        return ''
    return f'from {low}' if high == 'G_MAXINT' else f'{low} to {high}'


def chapter_tables(rows, docs):
    text = ''
    for level, title in TITLES.items():
        text += f'\n### {title}: `USOCK_SOL_{level}`\n\n'
        text += '| Option | Type | May be | Range | What it is |\n| --- | --- | --- | --- | --- |\n'
        for row_level, name, kind, format_, access, low, high in rows:
            if row_level != level:
                continue
            may = {'R': 'read', 'W': 'set', 'RW': 'read, set'}[access]
            type_ = f'`{format_}`' if format_ else 'none'
            doc = re.sub(r'\[\w+@Usock\.(\w+)\]', r'`Usock\1`', docs[name])
            text += f'| `{name}` | {type_} | {may} | {shown_range(kind, low, high)} | {doc} |\n'
    return text


def main():
    root = pathlib.Path(sys.argv[1])
    values, docs = constants(root)
    rows = table(root)
    problems, defined = value_problems(values, shlex.split(sys.argv[2]))
    problems += missing_problems(rows, values, defined)
    problems += [f'{name} has no description' for name in values if not docs.get(name)]

    chapter = root / 'doc/options.md'
    text = chapter.read_text()
    wanted = re.sub(r'(?<=<!-- tables -->\n).*?(?=\n<!-- end of tables -->)',
                    lambda _: chapter_tables(rows, docs), text, flags=re.S)
    if sys.argv[3:] == ['--write']:
        chapter.write_text(wanted)
    elif text != wanted:
        problems.append('doc/options.md has other tables: see --write')

    if len(rows) < 200 or len(values) < 350:
        problems.append(f'only {len(rows)} options and {len(values)} constants found')
    print('\n'.join(problems) or f'{len(values)} constants and {len(rows)} options agree')
    sys.exit(bool(problems))


main()
