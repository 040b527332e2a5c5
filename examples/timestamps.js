#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Tells how long messages lay in the kernel: timestamps.js TEXT...

import GLib from 'gi://GLib';
import System from 'system';
import Usock from 'gi://Usock?version=1';

const {Family, Level, SockType, SocketOption} = Usock;

const receiver = Usock.Handle.new_socket(Family.UNIX, SockType.DGRAM);
const sender = Usock.Handle.new_socket(Family.UNIX, SockType.DGRAM);
receiver.set_option(Level.SOCKET, SocketOption.TIMESTAMPNS, new GLib.Variant('b', true));
receiver.bind();
for (const text of System.programArgs)
    sender.send(text, {destination: receiver.local_address});
GLib.usleep(10000);

for (const _ of System.programArgs) {
    const message = receiver.recvmsg(65536, {timeout: 1000});
    const [seconds, nanoseconds] = message.lookup_control(Level.SOCKET, SocketOption.TIMESTAMPNS);
    const age = GLib.get_real_time() / 1e3 - (seconds * 1e3 + nanoseconds / 1e6);
    print(`${message.text}: ${age.toFixed(3)} ms`);
}
