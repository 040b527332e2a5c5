// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What the GJS tests of usock share: an empty directory, waiting, and no descriptor left.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';
import Usock from 'gi://Usock?version=1';

import {test} from './tap.js';

const DEADLINE = 20;

// The others open sockets of their own, some not before the context is iterated.
GLib.setenv('GIO_USE_NETWORK_MONITOR', 'base', true);

export function waitFor(condition, what = `${condition}`) {
    return new Promise((resolve, reject) => {
        let ticks = 0;
        const look = () => {
            if (condition())
                resolve();
            else if (++ticks > DEADLINE * 200)
                reject(new Error(`${what} did not happen in ${DEADLINE} s`));
            else
                return GLib.SOURCE_CONTINUE;
            return GLib.SOURCE_REMOVE;
        };
        if (look() === GLib.SOURCE_CONTINUE)
            GLib.timeout_add(GLib.PRIORITY_DEFAULT, 5, look);
    });
}

// Iterates the context from within a callback.
export function iterateUntil(condition) {
    const context = GLib.MainContext.default();
    let late = false;
    const timer = GLib.timeout_add_seconds(GLib.PRIORITY_DEFAULT, DEADLINE, () => {
        late = true;
        return GLib.SOURCE_CONTINUE;
    });
    while (!condition() && !late)
        context.iteration(true);
    GLib.source_remove(timer);
    if (late)
        throw new Error(`${condition} did not happen in ${DEADLINE} s`);
}

export function turns(n = 10) {
    for (let i = 0; i < n; i++)
        GLib.MainContext.default().iteration(false);
}

// GLib's own and libffi's come when they are first needed. The reactor's goes when the last socket
// was collected, which the collector does when it likes; test-lifetime.js makes it.
const NOT_COUNTED = /^anon_inode:\[event(fd|poll)\]$|^\/proc\/\d+\/fd$|\/libffi\.so[^/]*$/;

export function openFds() {
    const fds = new Map();
    const children = Gio.File.new_for_path('/proc/self/fd').enumerate_children(
        'standard::name,standard::symlink-target', Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, null);
    for (let info = children.next_file(null); info; info = children.next_file(null)) {
        if (!NOT_COUNTED.test(info.get_symlink_target()))
            fds.set(info.get_name(), info.get_symlink_target());
    }
    children.close(null);
    return fds;
}

function leftOver(before) {
    return [...openFds()].filter(([fd, target]) => before.get(fd) !== target);
}

// What a socket emitted, in order.
export class Log extends Array {
    constructor(socket, ...signals) {
        super();
        if (!(socket instanceof Usock.Socket))
            return;
        for (const signal of signals.length ? signals : ['connect', 'data', 'end', 'error', 'close'])
            socket.connect(signal, (_socket, ...args) => void this.push([signal, ...args]));
    }

    get names() {
        return Array.from(this, ([name]) => name);
    }

    count(signal) {
        return this.names.filter(name => name === signal).length;
    }

    async wait(signal, n = 1) {
        await waitFor(() => this.count(signal) >= n, `${n} x ${signal}`);
        return this;
    }
}

export class Fixture {
    constructor() {
        this.directory = GLib.Dir.make_tmp('usock-XXXXXX');
        this.path = `${this.directory}/socket`;
        this.sockets = [];
    }

    // Closes the socket when the test is over.
    keep(socket) {
        this.sockets.push(socket);
        return socket;
    }

    pair() {
        return Usock.Seqpacket.pair().map(socket => this.keep(socket));
    }

    serve(onConnection = null, properties = {}) {
        const server = this.keep(new Usock.Server(properties));
        if (onConnection)
            server.connect('connection', (_server, channel) => onConnection(channel));
        server.listen(this.path);
        return server;
    }

    // Resolves with both ends of a connection over a path.
    async acceptOne(properties = {}) {
        const accepted = [];
        const server = this.serve(channel => accepted.push(channel), properties);
        const client = this.keep(new Usock.Seqpacket());
        client.connect_to_path(this.path);
        await waitFor(() => accepted.length);
        server.close();
        return [client, this.keep(accepted[0])];
    }

    finish() {
        while (this.sockets.length)
            this.sockets.pop().close();
        const directory = Gio.File.new_for_path(this.directory);
        const children = directory.enumerate_children('standard::name', 0, null);
        for (let info = children.next_file(null); info; info = children.next_file(null))
            children.get_child(info).delete(null);
        children.close(null);
        directory.delete(null);
    }
}

// A test with a fixture, which fails if a descriptor is left.
export function testSocket(name, body) {
    test(name, async () => {
        const before = openFds();
        const fixture = new Fixture();
        try {
            await body(fixture);
        } finally {
            fixture.finish();
        }
        await waitFor(() => {
            System.gc();
            return leftOver(before).length === 0;
        }).catch(() => {
            throw new Error(`left open: ${JSON.stringify(leftOver(before))}`);
        });
    });
}

export function text(bytes) {
    return new TextDecoder().decode(bytes);
}

export function bytes(string) {
    return new TextEncoder().encode(string);
}

export function nullFd() {
    return Gio.File.new_for_path('/dev/null').read(null);
}

// A descriptor that is this number's, and open, as the kernel sees it.
export function isOpen(fd) {
    return GLib.file_test(`/proc/self/fd/${fd}`, GLib.FileTest.IS_SYMLINK);
}

export function closeFd(fd) {
    GLib.close(fd);
}
