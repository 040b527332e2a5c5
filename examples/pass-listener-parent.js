#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Listens, and has a child accept: pass-listener-parent.js PATH CHILD... The child gets the
// listening socket by a packet socket, which is its standard input.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';
import Usock from 'gi://Usock?version=1';

const [path, ...command] = System.programArgs;
const server = new Usock.Server({socket_type: Gio.SocketType.STREAM});
server.pause();  // not we, the child
server.listen(path);

const [ours, theirs] = Usock.Seqpacket.pair();
GLib.spawn_async_with_fds(null, command, null, GLib.SpawnFlags.SEARCH_PATH, null,
    theirs.fd, -1, -1);
theirs.close();
if (await ours.receive() !== null)  // it is ready for it
    ours.send('', {fds: [server.fd]});
await ours.receive();  // null: it has gone
server.close();
