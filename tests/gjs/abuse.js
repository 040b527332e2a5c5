// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What test-abuse.js calls the library with: objects in every state, and odd values. All of it
// comes from one generator of random numbers, so that a seed replays it.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {bytes, closeFd} from './fixture.js';

const {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG} = {
    AF_UNIX: 1, AF_INET: 2, AF_INET6: 10, AF_NETLINK: 16, AF_PACKET: 17, AF_ALG: 38, AF_VSOCK: 40,
};
const FAMILIES = [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG];
const SOCKET_TYPES = new Map([[Usock.Stream, 1], [Usock.Dgram, 2], [Usock.Seqpacket, 5]]);
// A protocol of netlink with which nobody configures anything.
const NETLINK_USERSOCK = 2;

export const CLASSES = [Usock.Seqpacket, Usock.Stream, Usock.Dgram, Usock.Server, Usock.Handle,
    Usock.Message, Usock.PacketAddress, Usock.Peer, Usock.Call, Usock.Client];

export class Chance {
    constructor(seed) {
        this._state = seed >>> 0;
    }

    random() {
        this._state = (this._state + 0x6d2b79f5) >>> 0;
        let t = this._state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    }

    below(n) {
        return Math.floor(this.random() * n);
    }

    choice(items) {
        return items[this.below(items.length)];
    }

    several(n, make) {
        return Array.from({length: this.choice(n)}, () => make());
    }
}

// A handle is the plain socket on the other side.
class Peer {
    constructor(handle, chance) {
        this.handle = handle;
        this.chance = chance;
    }

    act() {
        const {handle, chance} = this;
        const options = {timeout: 0};
        const acts = [
            () => handle.send(new Uint8Array(chance.choice([0, 1, 10, 5000, 70_000])), options),
            () => handle.sendmsg('d', {fds: [0, 0], ...options}),
            () => handle.send('!', {flags: chance.choice([0, 1, 128]), ...options}),
            () => handle.receive(1 << chance.below(20), options),
            () => handle.shutdown(chance.below(3)),
            () => handle.close(),
        ];
        return chance.choice(acts)();
    }

    fill() {
        tolerate(() => {
            for (;;)
                this.handle.send(new Uint8Array(4096), {timeout: 0});
        });
    }
}

export function tolerate(body) {
    try {
        return body();
    } catch (error) {
        return undefined;
    }
}

function variants() {
    return [
        new GLib.Variant('b', true), new GLib.Variant('i', -1), new GLib.Variant('x', -(2 ** 53)),
        new GLib.Variant('ay', []), new GLib.Variant('s', ''), new GLib.Variant('s', 'lo'),
        new GLib.Variant('(ii)', [1, 1]), new GLib.Variant('a{sv}', {}), new GLib.Variant('as', []),
        GLib.Variant.new_from_bytes(new GLib.VariantType('ay'), bytes('x'.repeat(70_000)), true),
        null, true, 1, -1, 'lo', 2n ** 64n, bytes('x'), [1, 1],
    ];
}

// Makes objects in each state, and values for each parameter.
export class Stage {
    constructor(seed) {
        this.chance = new Chance(seed);
        this.directory = GLib.Dir.make_tmp('usock-XXXXXX');
        this.cast = [];
        this.peers = [];
        this.results = [];
        // What is closed in the end.
        this._sockets = new Set();
        this._clients = new Set();
        this._lent = [];
        this._nPaths = 0;
        this._variants = variants();
    }

    newPath() {
        return `${this.directory}/${++this._nPaths}`;
    }

    path() {
        return this.chance.choice([this.newPath(), '', '/', this.directory, '/dev/null',
            'x'.repeat(300), '/x'.repeat(3000), '@abstract', '@', 'a\0b', '\ud800', '.',
            `${this.directory}/${this.chance.below(this._nPaths + 1)}`,
            `${this.directory}/${this.chance.below(this._nPaths + 1)}`,
            Gio.File.new_for_path(this.newPath()), Gio.File.new_for_uri('http://no.invalid/')]);
    }

    text() {
        return this.chance.choice(['', 'x', 'a\0b', '\ud800', 'ü'.repeat(1000), 'x'.repeat(100_000),
            '@', '\n', '%s%n', '127.0.0.1:1', '[::1]:9', '@a\\x00b', this.path()]);
    }

    host() {
        return this.chance.choice(['127.0.0.1', '::1', '', 'localhost', 'no.invalid',
            'x'.repeat(300), 'a b', '127.0.0.1:80', '::', '\n']);
    }

    address() {
        return this.chance.choice([
            () => Gio.UnixSocketAddress.new(this.newPath()),
            () => Gio.UnixSocketAddress.new('x'.repeat(107)),
            () => Gio.UnixSocketAddress.new(''),
            () => Usock.address_parse('@usock-abuse'),
            () => Gio.InetSocketAddress.new_from_string('127.0.0.1', this.chance.choice([0, 1, 9])),
            () => Gio.InetSocketAddress.new_from_string('::1', 65535),
            () => Usock.PacketAddress.new(1, 3, bytes('')),
            () => this.chance.choice(this.sockets())?.get_local_address() ?? null,
        ])();
    }

    // One that nobody else has. What is not taken is closed in giveBack().
    newFd() {
        const [first, second] = Usock.Handle.pair(this.chance.choice([1, 2, 5]));
        this.peers.push(new Peer(second, this.chance));
        const handle = this.chance.choice([first, first, this._families(), null]);
        const carrier = new Usock.Message('');
        carrier.append_fd(handle && handle.fd >= 0 ? handle.fd : 0);
        const fd = carrier.take_fd(0);
        first.close();
        handle?.close();
        this._lent.push(fd);
        return fd;
    }

    fd() {
        return this.chance.below(4) > 0
            ? this.newFd() : this.chance.choice([-1, 900_000, 2 ** 31 - 1, -(2 ** 31), 2 ** 32]);
    }

    giveBack(taken) {
        for (const fd of this._lent.splice(0)) {
            if (!taken)
                closeFd(fd);
        }
    }

    data() {
        const size = this.chance.choice([0, 1, 10, 3000, 70_000, 300_000]);
        const data = new Uint8Array(size).fill(this.chance.choice([0, 10, 120, 255]));
        return this.chance.below(5) > 0 ? data : this.chance.choice([data.buffer,
            new DataView(data.buffer), new Uint16Array(3), 'text', new GLib.Bytes(data)]);
    }

    number() {
        return this.chance.choice([0, 1, 2, 3, 5, 100, 4096, 65_535, 2 ** 31 - 1, 2 ** 32 - 1,
            2 ** 53, -1, -(2 ** 31), 1.5, NaN, Infinity]);
    }

    // Anything longer is waited for.
    timeout() {
        return this.chance.choice([0, 0, 0, 1, 3]);
    }

    size() {
        return this.chance.choice([0, 1, 10, 65_536, 1 << 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32,
            2 ** 53]);
    }

    variant() {
        return this.chance.choice(this._variants);
    }

    // Without SO_PEERPIDFD, which is a descriptor for the caller.
    option() {
        return this.chance.choice([0, 1, 2, 3, 4, 6, 7, 8, 9, 13, 16, 17, 20, 26, 31, 41, 42, 59,
            -1, 2 ** 31 - 1]);
    }

    message() {
        const messages = this.cast.filter(item => item instanceof Usock.Message);
        return messages.length > 0 && this.chance.below(5) > 1
            ? this.chance.choice(messages) : this.add(this.newMessage());
    }

    newMessage() {
        const message = new Usock.Message(bytes('m'.repeat(this.chance.choice([0, 1, 70_000]))));
        for (let n = this.chance.choice([0, 0, 1, 3]); n > 0; n--)
            message.append_fd(0);
        for (let n = this.chance.choice([0, 0, 1, 2000]); n > 0; n--)
            message.append_bytes(bytes('s'));
        return message;
    }

    cancellable() {
        const cancelled = new Gio.Cancellable();
        cancelled.cancel();
        return this.chance.choice([null, null, new Gio.Cancellable(), cancelled]);
    }

    options() {
        const {chance} = this;
        const all = {
            offset: this.number(), length: this.number(),
            fds: chance.several([0, 1, 2], () => this.fd()),
            destination: this.address(), flags: chance.choice([0, 1, 2, 32, 64, 128, 256, 1 << 13]),
            cancellable: this.cancellable(),
        };
        const given = {timeout: this.timeout()};
        for (const [name, value] of Object.entries(all)) {
            if (chance.below(3) === 0)
                given[name] = value;
        }
        return given;
    }

    error() {
        return this.chance.choice([null, new GLib.Error(Gio.IOErrorEnum, 0, 'x\n'),
            new Error('not ours')]);
    }

    propertyValue(type) {
        const byType = {gboolean: [true, false], utf8: ['', 'x']};
        return this.chance.choice(byType[type] ?? [0, 1, 2, 100, 2 ** 31, 2 ** 32 - 1]);
    }

    junk(name) {
        return name === 'timeout'
            ? this.chance.choice([{}, 'x', 'y'])
            : this.chance.choice([null, undefined, {}, 'text', bytes('b'), 1.5, -1, 2 ** 70, [],
                [null], true, () => null, Usock, Symbol.iterator, 10n, new Date(), NaN,
                ...this.cast]);
    }

    // Objects

    sockets() {
        return this.cast.filter(item => item instanceof Usock.Socket);
    }

    emitters() {
        return this.cast.filter(item => item instanceof Usock.Socket ||
            item instanceof Usock.Peer || item instanceof Usock.Client);
    }

    add(item) {
        this.cast.push(item);
        if (item instanceof Usock.Client)
            this._clients.add(item);
        if (item instanceof Usock.Socket)
            this._sockets.add(item);
        return item;
    }

    // The engine's caches keep closures, and those what they saw: descriptors are not left to them.
    drop(index) {
        const [item] = this.cast.splice(index, 1);
        if (item instanceof Usock.Message)
            item.close_fds();
        if (item instanceof Usock.Client) {
            item.stop();
            this._clients.delete(item);
        }
    }

    states(cls) {
        if (SOCKET_TYPES.has(cls)) {
            return ['new', 'pair', 'connecting', 'connected', 'filled', 'ended', 'halfClosed',
                'peerClosed', 'peerData', 'paused', 'closing', 'closed'];
        }
        if (cls === Usock.Server) {
            return ['new', 'listening', 'listeningInet', 'serving', 'pausedServer', 'closing',
                'closed'];
        }
        if (cls === Usock.Handle)
            return ['new', 'families', 'listeningHandle', 'handlePair', 'closing'];
        if (cls === Usock.Peer)
            return ['peerNew', 'peerPair', 'peerAsked', 'peerStranger', 'peerOver'];
        if (cls === Usock.Call)
            return ['callOpen', 'callAnswered', 'callGone'];
        if (cls === Usock.Client) {
            return ['clientNew', 'clientWaiting', 'clientConnected', 'clientCalling',
                'clientStopped'];
        }
        return cls === Usock.Message ? ['fresh', 'frozen', 'received', 'taken'] : ['packet'];
    }

    make(cls, state) {
        return this.add(this[`_${state}`](cls));
    }

    _new(cls) {
        return cls === Usock.Server ? Usock.Server.new(this.chance.below(4)) : new cls();
    }

    _pair(cls) {
        const [, first, second] = cls.new_pair();
        this.add(second);
        return first;
    }

    _connected(cls) {
        const [first, second] = Usock.Handle.pair(SOCKET_TYPES.get(cls));
        const carrier = new Usock.Message('');
        carrier.append_fd(first.fd);
        first.close();
        this.peers.push(new Peer(second, this.chance));
        return cls.new_from_fd(carrier.take_fd(0));
    }

    _connecting(cls) {
        const channel = new cls();
        if (cls === Usock.Dgram) {
            channel.connect_to_address(Usock.address_parse('127.0.0.1:9'));
            return channel;
        }
        const path = this.newPath();
        const listener = Usock.Handle.new_socket(AF_UNIX, SOCKET_TYPES.get(cls));
        const first = Usock.Handle.new_socket(AF_UNIX, SOCKET_TYPES.get(cls));
        this.peers.push(new Peer(listener, this.chance), new Peer(first, this.chance));
        listener.bind(path);
        listener.listen(0);
        first.open(path, 0);
        channel.connect_to_path(path);
        return channel;
    }

    _filled(cls) {
        const channel = this._connected(cls);
        tolerate(() => {
            for (let i = 0; i < 100; i++)
                channel.send(new Uint8Array(60_000));
        });
        return channel;
    }

    _ended(cls) {
        const channel = this._connected(cls);
        channel.end();
        return channel;
    }

    _halfClosed(cls) {
        const channel = this._connected(cls);
        channel.allow_half_open = true;
        this.peers.at(-1).handle.shutdown(Usock.Shut.WR);
        return channel;
    }

    _peerData(cls) {
        const channel = this._connected(cls);
        channel.max_fds = 5;
        tolerate(() => this.peers.at(-1).handle.sendmsg('d', {fds: [0, 0], timeout: 0}));
        this.peers.at(-1).fill();
        return channel;
    }

    _peerClosed(cls) {
        const channel = this._peerData(cls);
        this.peers.at(-1).handle.close();
        return channel;
    }

    _paused(cls) {
        const channel = this._peerData(cls);
        channel.pause();
        return channel;
    }

    _closing(cls) {
        let socket;
        if (cls === Usock.Server)
            socket = this._new(cls);
        else
            socket = cls === Usock.Handle ? this._handlePair(cls) : this._connected(cls);
        socket.close();
        return socket;
    }

    _closed(cls) {
        const socket = this._closing(cls);
        this.turn(50);
        return socket;
    }

    _listening(cls) {
        const server = Usock.Server.new(this.chance.choice([1, 3]));
        server.listen(this.newPath());
        return server;
    }

    _listeningInet() {
        const server = Usock.Server.new(Gio.SocketType.STREAM);
        server.listen(Usock.address_parse('127.0.0.1:0'));
        return server;
    }

    _serving() {
        const server = Usock.Server.new(Gio.SocketType.SEQPACKET);
        server.connect('connection', (_server, channel) => void this.add(channel));
        server.listen(this.newPath());
        const handle = Usock.Handle.new_socket(AF_UNIX, 5);
        handle.open(server.path, 0);
        this.peers.push(new Peer(handle, this.chance));
        this.add(new Usock.Seqpacket()).connect_to_path(server.path);
        this.turn(20);
        return server;
    }

    _pausedServer() {
        const server = this._serving();
        server.pause();
        return server;
    }

    _families() {
        const handle = new Usock.Handle();
        const family = this.chance.choice(FAMILIES);
        tolerate(() => handle.create(family, this.chance.choice([1, 2, 3, 5]),
            family === AF_NETLINK ? NETLINK_USERSOCK : 0));
        return handle;
    }

    _listeningHandle() {
        const handle = Usock.Handle.new_socket(AF_UNIX, 1);
        handle.bind(this.newPath());
        handle.listen();
        return handle;
    }

    _handlePair() {
        const [first, second] = Usock.Handle.pair(this.chance.choice([1, 2, 5]));
        this.add(second);
        return first;
    }

    _fresh() {
        return this.newMessage();
    }

    _frozen() {
        const message = new Usock.Message('frozen');
        const [first, second] = Usock.Seqpacket.pair().map(channel => this.add(channel));
        second.max_fds = 1;
        message.append_fd(0);
        first.send(message);
        return message;
    }

    _received() {
        const [first, second] = Usock.Handle.pair(5);
        first.sendmsg('received', {fds: [0, 0]});
        const message = second.recvmsg(100, {timeout: 0});
        first.close();
        second.close();
        return message;
    }

    _taken() {
        const message = this._received();
        closeFd(message.take_fd(0));
        return message;
    }

    _packet() {
        return Usock.PacketAddress.new(this.chance.choice([0, 1, 2 ** 31 - 1]), 3,
            new Uint8Array(this.chance.choice([0, 6, 8])));
    }

    _peerNew() {
        return new Usock.Peer(this.add(new Usock.Seqpacket()));
    }

    _peerPair() {
        const [first, second] = this.chance.choice([Usock.Seqpacket, Usock.Stream]).pair();
        this.add(first);
        const other = this.add(new Usock.Peer(this.add(second)));
        other.handle('Echo', body => body);
        other.connect('call', (_peer, call) => void this.add(call));
        return new Usock.Peer(first);
    }

    _peerAsked() {
        const peer = this._peerPair();
        for (let i = 0; i < 3; i++)
            this._ask(peer);
        return peer;
    }

    _ask(peer) {
        peer.call_async('Any', this.newMessage(), this.chance.choice([-1, 0, 20]),
            this.cancellable(), () => {});
    }

    _peerStranger() {
        const channel = this.add(this._connected(this.chance.choice([Usock.Seqpacket,
            Usock.Stream])));
        const peer = new Usock.Peer(channel);
        peer.handle('Any', body => body);
        if (this.chance.below(2))
            tolerate(() => this.peers.at(-1).handle.send(new Uint8Array(100), {timeout: 0}));
        return peer;
    }

    _peerOver() {
        const peer = this._peerPair();
        peer.channel.close();
        this.turn(20);
        return peer;
    }

    _callOpen() {
        const ends = Usock.Seqpacket.pair().map(end => this.add(end));
        const [client, server] = ends.map(end => this.add(new Usock.Peer(end)));
        let held = null;
        const handler = server.connect('call', (_peer, call) => void (held = call));
        client.call_async('Any', new Usock.Message('asked'), -1, null, () => {});
        while (held === null)
            GLib.MainContext.default().iteration(true);
        server.disconnect(handler);
        return held;
    }

    _callAnswered() {
        const call = this._callOpen();
        call.reply('answer');
        return call;
    }

    _callGone() {
        const call = this._callOpen();
        this.sockets().slice(-2).forEach(end => end.close());
        this.turn(20);
        return call;
    }

    _clientNew() {
        return new Usock.Client({channel_type: this.chance.choice([Usock.Seqpacket, Usock.Stream]),
            min_delay: 20, max_delay: 50});
    }

    _clientWaiting() {
        const client = this._clientNew();
        client.start(this.newPath());
        client.send('waiting');
        return client;
    }

    _clientConnected() {
        const client = new Usock.Client({min_delay: 20, max_delay: 50});
        client.start(this.add(this._serving()).path);
        client.send('connected');
        this.turn(20);
        return client;
    }

    _clientCalling() {
        const client = this._clientConnected();
        const peer = client.get_peer();
        if (peer !== null)
            this._ask(this.add(peer));
        client.handle('Any', body => body);
        return client;
    }

    _clientStopped() {
        const client = this._clientConnected();
        client.stop();
        return client;
    }

    // The loop

    turn(n) {
        const context = GLib.MainContext.default();
        for (let turned = 0; turned < n; turned++) {
            if (!context.iteration(false))
                return turned;
        }
        return n;
    }

    dropSome() {
        while (this.cast.length > 40)
            this.drop(this.chance.below(this.cast.length));
        while (this.peers.length > 40)
            this.peers.splice(this.chance.below(this.peers.length), 1)[0].handle.close();
        this.results.splice(0, this.results.length - 40);
    }

    // Closes and forgets all of it.
    strike() {
        for (const client of this._clients)
            client.stop();
        this._clients.clear();
        for (const socket of this._sockets) {
            if (socket instanceof Usock.Server) {
                for (const channel of socket)
                    channel.close();
            }
            socket.close();
        }
        for (const {handle} of this.peers)
            handle.close();
        while (this.cast.length > 0)
            this.drop(0);
        this._sockets.clear();
        this.peers.length = 0;
        this.forget();
        const directory = Gio.File.new_for_path(this.directory);
        const children = directory.enumerate_children('standard::name', 0, null);
        for (let info = children.next_file(null); info; info = children.next_file(null))
            tolerate(() => children.get_child(info).delete(null));
        children.close(null);
        tolerate(() => directory.delete(null));
    }

    // Of calls that were closed.
    forget() {
        this.results.length = 0;
    }
}
