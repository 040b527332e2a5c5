# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What test_abuse.py calls the library with: objects in every state, and odd values.

All of it comes from one random number generator, so that a seed replays it.
"""

import contextlib
import os
import random
import select
import socket
import tempfile

from fixture import Gio, GLib, Usock

CLOSED_FD = 900_000
LOOPBACK = '127.0.0.1'
SOCKET_TYPES = {Usock.Seqpacket: socket.SOCK_SEQPACKET, Usock.Stream: socket.SOCK_STREAM,
                Usock.Dgram: socket.SOCK_DGRAM}
FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET,
            socket.AF_VSOCK, socket.AF_ALG)

VARIANTS = (
    GLib.Variant('b', True), GLib.Variant('i', -1), GLib.Variant('x', -2**63),
    GLib.Variant('t', 2**64 - 1), GLib.Variant('ay', b''), GLib.Variant('ay', b'x' * 70_000),
    GLib.Variant('s', ''), GLib.Variant('s', 'lo'), GLib.Variant('(ii)', (1, 1)),
    GLib.Variant('a{sv}', {}), GLib.Variant('v', GLib.Variant('i', 1)),
    GLib.Variant('(ss)', (LOOPBACK, LOOPBACK)), GLib.Variant('as', []), None)


class Peer:
    """A plain socket, the other side of one of ours."""

    def __init__(self, plain, chance):
        plain.setblocking(False)
        self._socket = plain
        self._chance = chance

    def __repr__(self):
        return f'Peer({self._socket.fileno()})'

    def close(self):
        self._socket.close()

    def fill(self):
        with contextlib.suppress(OSError):
            while True:
                self._socket.send(b'f' * 4096)

    def act(self):
        act = self._chance.choice((self._send, self._send_fds, self._send_odd, self._receive,
                                   self._shut_down, self.close))
        with contextlib.suppress(OSError):
            act()
        return act.__name__

    def _send(self):
        self._socket.send(b'p' * self._chance.choice((0, 1, 10, 5000, 70_000)))

    def _send_fds(self):
        socket.send_fds(self._socket, [b'd'], [0] * self._chance.choice((1, 2, 253)))

    def _send_odd(self):
        self._socket.send(b'!', self._chance.choice((socket.MSG_OOB, socket.MSG_EOR, 0)))

    def _receive(self):
        self._socket.recv(1 << self._chance.randrange(20))

    def _shut_down(self):
        self._socket.shutdown(self._chance.choice((socket.SHUT_RD, socket.SHUT_WR,
                                                   socket.SHUT_RDWR)))


class Stage:
    """Makes objects in each state, and values for each parameter."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self._directory = tempfile.TemporaryDirectory(prefix='usock-')
        self.directory = self._directory.name
        self.cast = []  # Sockets and messages of the library.
        self.peers = []
        self.results = []
        self.tasks = []
        self._lent = []
        self._alive = []
        self._clients = []
        self._paths = 0

    # Names

    def new_path(self):
        self._paths += 1
        return os.path.join(self.directory, str(self._paths))

    def path(self):
        names = os.listdir(self.directory)
        known = [os.path.join(self.directory, name) for name in names]
        return self.chance.choice([self.new_path(), '', '/', self.directory, '/dev/null', 'x' * 300,
                                   '/x' * 3000, '@abstract', '@', 'a\0b', b'\xff\xfe', '.', *known,
                                   *known])

    def text(self):
        return self.chance.choice(['', 'x', 'a\0b', '\ud800', 'ü' * 1000, 'x' * 100_000, '@', '\n',
                                   '%s%n', '127.0.0.1:1', '[::1]:9', '@a\\x00b', self.path()])

    def host(self):
        return self.chance.choice([LOOPBACK, '::1', '', 'localhost', 'no.invalid', 'x' * 300, 'a b',
                                   '127.0.0.1:80', '::', '\n'])

    def address(self):
        def parsed(text):
            return lambda: Usock.address_parse(text)
        make = self.chance.choice([
            lambda: Gio.UnixSocketAddress.new(self.new_path()),
            lambda: Gio.UnixSocketAddress.new('x' * 107),
            parsed('@usock-abuse'), parsed(self.new_path()),
            lambda: Gio.InetSocketAddress.new_from_string(LOOPBACK, self.chance.choice((0, 1, 9))),
            lambda: Gio.InetSocketAddress.new_from_string('::1', 65535),
            lambda: Usock.PacketAddress.new(1, 3, b''),
            lambda: Gio.UnixSocketAddress.new(''),
            lambda: Gio.ProxyAddress.new(Gio.InetAddress.new_from_string(LOOPBACK), 1, 'http', 'x',
                                         2, None, None),
            *([lambda: self.chance.choice(self.sockets()).get_local_address()]
              if self.sockets() else []),
        ])
        return make()

    # Descriptors

    def new_fd(self):
        """One that nobody else has. What is not taken goes back in give_back()."""
        fd = self.chance.choice((self._file, self._directory_fd, self._socket_fd, self._socket_fd,
                                 self._listening_fd, self._pipe, self._device, self._other))()
        self._lent.append(fd)
        return fd

    def _file(self):
        return os.open(os.path.join(self.directory, 'file'), os.O_CREAT | os.O_RDWR)

    def _directory_fd(self):
        return os.open(self.directory, os.O_RDONLY | self.chance.choice((0, os.O_PATH)))

    def _socket_fd(self):
        family, kind = self.chance.choice(((socket.AF_UNIX, socket.SOCK_STREAM),
                                           (socket.AF_UNIX, socket.SOCK_DGRAM),
                                           (socket.AF_UNIX, socket.SOCK_SEQPACKET),
                                           (socket.AF_INET, socket.SOCK_STREAM),
                                           (socket.AF_INET6, socket.SOCK_DGRAM),
                                           (socket.AF_NETLINK, socket.SOCK_RAW)))
        if family == socket.AF_UNIX and self.chance.random() < 0.6:
            ours, plain = socket.socketpair(family, kind)
            self.peers.append(Peer(plain, self.chance))
            return ours.detach()
        return socket.socket(family, kind, 2 if family == socket.AF_NETLINK else 0).detach()

    def _listening_fd(self):
        listener = socket.socket(socket.AF_UNIX, self.chance.choice((socket.SOCK_STREAM,
                                                                     socket.SOCK_SEQPACKET)))
        listener.bind(self.new_path())
        listener.listen(self.chance.choice((0, 5)))
        return listener.detach()

    def _pipe(self):
        ours, other = os.pipe()
        if self.chance.random() < 0.5:
            ours, other = other, ours
        os.close(other)
        return ours

    def _device(self):
        return os.open('/dev/null', os.O_RDWR)

    def _other(self):
        return self.chance.choice((lambda: os.memfd_create('abuse'), lambda: os.eventfd(0),
                                   lambda: select.epoll().fileno() and os.dup(0)))()

    def fd(self):
        if self.chance.random() < 0.75:
            return self.new_fd()
        return self.chance.choice((-1, CLOSED_FD, 2**31 - 1, -2**31))

    def fds(self):
        n = self.chance.choice((0, 1, 1, 2, 3, 260))
        return [self.fd() for _ in range(n)] if n < 10 else [0] * n

    def give_back(self, taken):
        for fd in self._lent:
            if not taken:
                os.close(fd)
        self._lent.clear()

    # Values

    def data(self):
        size = self.chance.choice((0, 1, 10, 3000, 70_000, 1 << 20))
        return self.chance.choice((b'\0', b'x', b'\xff', b'\n'))[:1] * size

    def number(self):
        return self.chance.choice((0, 1, 2, 3, 5, 100, 4096, 65_535, 2**31 - 1, 2**32 - 1, 2**63,
                                   2**64 - 1, -1, -2**31))

    def timeout(self):
        # Anything longer is waited for.
        return self.chance.choice((0, 0, 0, 1, 3))

    def size(self):
        return self.chance.choice((0, 1, 10, 65_536, 1 << 20, 2**31 - 1, 2**31, 2**32, 2**63,
                                   2**64 - 1))

    def variant(self):
        return self.chance.choice(VARIANTS)

    def message(self):
        messages = [item for item in self.cast if isinstance(item, Usock.Message)]
        if messages and self.chance.random() < 0.6:
            return self.chance.choice(messages)
        return self.new_message()

    def new_message(self):
        message = Usock.Message(self.data())
        for _ in range(self.chance.choice((0, 0, 1, 3))):
            message.append_fd(0)
        for _ in range(self.chance.choice((0, 0, 1, 2000))):
            message.append_bytes(GLib.Bytes.new(b's'))
        return self.add(message)

    def cancellable(self):
        return self.chance.choice((None, Gio.Cancellable(), self._cancelled()))

    def _cancelled(self):
        cancellable = Gio.Cancellable()
        cancellable.cancel()
        return cancellable

    def credentials(self):
        credentials = Gio.Credentials()
        with contextlib.suppress(GLib.Error):
            credentials.set_unix_user(self.chance.choice((0, 1000, 2**31 - 1)))
        return credentials

    def option(self):
        # Without SO_PEERPIDFD, which is a descriptor for the caller.
        return self.chance.choice((0, 1, 2, 3, 4, 6, 7, 8, 9, 13, 16, 17, 20, 26, 31, 41, 42, 59,
                                   76, -1, 2**31 - 1))

    def error(self):
        return self.chance.choice((None, ValueError(''), GLib.Error.new_literal(
            Gio.io_error_quark(), 'x\n' * 3, Gio.IOErrorEnum.FAILED), GLib.Error()))

    def property_value(self, kind):
        by_kind = {'gboolean': (True, False), 'utf8': ('', 'x')}
        return self.chance.choice(by_kind.get(kind, (0, 1, 2, 100, 2**31, 2**32 - 1, 2**64 - 1)))

    def junk(self, name):
        if name == 'timeout':
            return self.chance.choice((None, 'x', 2**70, [], object()))
        if name == 'fd':
            return self.chance.choice((None, 'x', 2**70, [], object()))
        return self.chance.choice((None, object(), 'text', b'bytes', 1.5, -1, 2**70, [], [None], {},
                                   True, lambda *_: None, self, Usock, *self.cast))

    # Objects

    def sockets(self):
        return [item for item in self.cast if isinstance(item, Usock.Socket)]

    def emitters(self):
        return [item for item in self.cast if isinstance(item, (Usock.Socket, Usock.Peer,
                                                                Usock.Client))]

    def add(self, item):
        self.cast.append(item)
        if isinstance(item, Usock.Client):
            self._clients.append(item)
        if isinstance(item, Usock.Socket):
            self._alive.append(item.weak_ref())
        return item

    def alive(self):
        """The sockets that are there still; what is open lives without us."""
        sockets = [socket for socket in (each() for each in self._alive) if socket is not None]
        for server in [socket for socket in sockets if isinstance(socket, Usock.Server)]:
            sockets += list(server)
        return sockets

    def states(self, cls):
        if cls in SOCKET_TYPES:
            names = ('new', 'pair', 'connecting', 'connected', 'filled', 'ended', 'half_closed',
                     'peer_closed', 'peer_data', 'paused', 'closing', 'closed')
        elif cls is Usock.Server:
            names = ('new', 'listening', 'listening_inet', 'serving', 'paused_server', 'closing',
                     'closed')
        elif cls is Usock.Handle:
            names = ('new', 'families', 'listening_handle', 'handle_pair', 'closing')
        elif cls is Usock.Message:
            names = ('fresh', 'frozen', 'received', 'taken')
        elif cls is Usock.Peer:
            names = ('peer_new', 'peer_pair', 'peer_asked', 'peer_stranger', 'peer_over')
        elif cls is Usock.Call:
            names = ('call_open', 'call_answered', 'call_gone')
        elif cls is Usock.Client:
            names = ('client_new', 'client_waiting', 'client_connected', 'client_calling',
                     'client_stopped')
        else:
            names = ('packet',)
        return names

    def make(self, cls, state):
        return self.add(getattr(self, '_' + state)(cls))

    def _new(self, cls):
        if cls is Usock.Server:
            return cls.new(self.chance.choice((Gio.SocketType.SEQPACKET, Gio.SocketType.STREAM,
                                               Gio.SocketType.DATAGRAM, Gio.SocketType.INVALID)))
        return cls()

    def _pair(self, cls):
        _, first, second = cls.new_pair()
        self.add(second)
        return first

    def _connected(self, cls):
        ours, plain = socket.socketpair(socket.AF_UNIX, SOCKET_TYPES[cls])
        self.peers.append(Peer(plain, self.chance))
        return cls.new_from_fd(ours.detach())

    def _connecting(self, cls):
        channel = cls()
        if cls is Usock.Dgram:
            channel.connect_to_address(Usock.address_parse('127.0.0.1:9'))
            return channel
        path = self.new_path()
        listener = socket.socket(socket.AF_UNIX, SOCKET_TYPES[cls])
        listener.bind(path)
        listener.listen(0)
        first = socket.socket(socket.AF_UNIX, SOCKET_TYPES[cls])
        first.connect(path)
        self.peers += [Peer(listener, self.chance), Peer(first, self.chance)]
        channel.connect_to_path(path)
        return channel

    def _filled(self, cls):
        channel = self._connected(cls)
        with contextlib.suppress(GLib.Error):
            for _ in range(100):
                channel.send(b'f' * 60_000)
        return channel

    def _ended(self, cls):
        channel = self._connected(cls)
        channel.end()
        return channel

    def _half_closed(self, cls):
        channel = self._connected(cls)
        channel.set_allow_half_open(True)
        self.peers[-1]._shut_down()
        return channel

    def _peer_closed(self, cls):
        channel = self._connected(cls)
        self.peers[-1].fill()
        self.peers[-1].close()
        return channel

    def _peer_data(self, cls):
        channel = self._connected(cls)
        with contextlib.suppress(OSError):
            self.peers[-1]._send_fds()
            self.peers[-1].fill()
        return channel

    def _paused(self, cls):
        channel = self._peer_data(cls)
        channel.pause()
        return channel

    def _closing(self, cls):
        closing = self._new(cls) if cls is Usock.Server else (
            self._handle_pair(cls) if cls is Usock.Handle else self._connected(cls))
        closing.close()
        return closing

    def _closed(self, cls):
        closed = self._closing(cls)
        self.turn(50)
        return closed

    def _listening(self, cls, kind=None):
        server = cls.new(kind or self.chance.choice((Gio.SocketType.SEQPACKET,
                                                     Gio.SocketType.STREAM)))
        server.listen(self.new_path())
        return server

    def _listening_inet(self, cls):
        server = cls.new(Gio.SocketType.STREAM)
        server.listen_on_address(Usock.address_parse('127.0.0.1:0'), 0)
        return server

    def _serving(self, cls):
        server = self._listening(cls, Gio.SocketType.SEQPACKET)
        server.connect('connection', lambda _server, channel: self.add(channel))
        path = server.get_path()
        for _ in range(2):
            plain = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            plain.connect(path)
            self.peers.append(Peer(plain, self.chance))
        self.add(Usock.Seqpacket()).connect_to_path(path)
        self.turn(20)
        return server

    def _paused_server(self, cls):
        server = self._serving(cls)
        server.pause()
        return server

    def _families(self, cls):
        handle = cls()
        family = self.chance.choice(FAMILIES)
        with contextlib.suppress(GLib.Error):
            handle.create(family, self.chance.choice((1, 2, 3, 5)),
                          2 if family == socket.AF_NETLINK else 0)
        return handle

    def _listening_handle(self, cls):
        handle = cls(socket.AF_UNIX, socket.SOCK_STREAM)
        handle.bind(self.new_path())
        handle.listen()
        return handle

    def _handle_pair(self, cls):
        first, second = cls.pair(self.chance.choice((socket.SOCK_STREAM, socket.SOCK_DGRAM,
                                                     socket.SOCK_SEQPACKET)))
        self.add(second)
        return first

    def _fresh(self, _cls):
        return self.new_message()

    def _frozen(self, _cls):
        message = Usock.Message(b'frozen', fds=[0])
        _, first, second = Usock.Seqpacket.new_pair()
        second.set_max_fds(1)
        self.add(first).send(message)
        # Nobody reads it, and what is not read keeps a channel open.
        self.add(second)
        return message

    def _received(self, _cls):
        first, second = Usock.Handle.pair(socket.SOCK_SEQPACKET)
        first.sendmsg(b'received', fds=[0, 0])
        message = second.recvmsg(100, timeout=0)
        first.close()
        second.close()
        return message

    def _taken(self, cls):
        message = self._received(cls)
        os.close(message.take_fd(0))
        return message

    def _packet(self, _cls):
        return Usock.PacketAddress.new(self.chance.choice((0, 1, 2**32 - 1)), 3,
                                       b'x' * self.chance.choice((0, 6, 8, 9, 300)))

    def _peer_new(self, cls):
        return cls(self.add(Usock.Seqpacket()))

    def _peer_pair(self, cls):
        first, second = self.chance.choice((Usock.Seqpacket, Usock.Stream)).pair()
        self.add(first)
        other = self.add(cls(self.add(second)))
        other.handle('Echo', lambda body: body)
        other.connect('call', lambda _peer, call: self.add(call) and None)
        return cls(first)

    def _peer_asked(self, cls):
        peer = self._peer_pair(cls)
        for _ in range(3):
            self._ask(peer)
        return peer

    def _ask(self, peer):
        peer.call_async('Any', self.new_message(), self.chance.choice((-1, 0, 20)),
                        self.cancellable(), lambda *_: None)

    def _peer_stranger(self, cls):
        peer = cls(self.add(self._connected(self.chance.choice((Usock.Seqpacket, Usock.Stream)))))
        peer.handle('Any', lambda body: body)
        if self.chance.random() < 0.5:
            with contextlib.suppress(OSError):
                self.peers[-1]._send()
        return peer

    def _peer_over(self, cls):
        peer = self._peer_pair(cls)
        peer.get_channel().close()
        self.turn(20)
        return peer

    def _call_open(self, _cls):
        held = []
        first, second = (self.add(end) for end in Usock.Seqpacket.pair())
        server, client = self.add(Usock.Peer(second)), self.add(Usock.Peer(first))
        handler = server.connect('call', lambda _peer, call: held.append(call))
        client.call_async('Any', Usock.Message(b'asked'), -1, None, lambda *_: None)
        while not held:
            GLib.MainContext.default().iteration(True)
        server.disconnect(handler)
        return held.pop()  # It keeps the peer, and that its handlers.

    def _call_answered(self, cls):
        call = self._call_open(cls)
        call.reply('answer')
        return call

    def _call_gone(self, cls):
        call = self._call_open(cls)
        for end in self.sockets()[-2:]:
            end.close()
        self.turn(20)
        return call

    def _client_new(self, cls):
        return cls(self.chance.choice((Usock.Seqpacket, Usock.Stream)), min_delay=20, max_delay=50)

    def _client_waiting(self, cls):
        client = self._client_new(cls)
        client.start(self.new_path())
        client.send(b'waiting')
        return client

    def _client_connected(self, cls):
        client = cls(min_delay=20, max_delay=50)
        client.start(self.add(self._serving(Usock.Server)).get_path())
        client.send(b'connected')
        self.turn(20)
        return client

    def _client_calling(self, cls):
        client = self._client_connected(cls)
        peer = client.get_peer()
        if peer:
            self._ask(self.add(peer))
        client.handle('Any', lambda body: body)
        return client

    def _client_stopped(self, cls):
        client = self._client_connected(cls)
        client.stop()
        return client

    # The loop

    def turn(self, n):
        context = GLib.MainContext.default()
        for turned in range(n):
            if not context.iteration(False):
                return turned
        return n

    def drop_some(self):
        while len(self.cast) > 40:
            item = self.cast.pop(self.chance.randrange(len(self.cast)))
            if isinstance(item, Usock.Client):
                item.stop()
                self._clients.remove(item)
        while len(self.peers) > 40:
            self.peers.pop(self.chance.randrange(len(self.peers))).close()
        del self.results[:-40]

    def strike(self):
        """Closes and forgets all of it."""
        for task in self.tasks:
            task.cancel()
        for client in self._clients:
            client.stop()
        for item in self.alive():
            item.close()
        for peer in self.peers:
            peer.close()
        self.cast.clear()
        self._alive.clear()
        self.peers.clear()
        self.results.clear()
        self.tasks.clear()
        self._clients.clear()
        self.turn(1000)
        self._directory.cleanup()
