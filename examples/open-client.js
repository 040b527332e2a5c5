#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Has files opened by a worker, and prints them: open-client.js PATH NAME...

import GLib from 'gi://GLib';
import System from 'system';
import Usock from 'gi://Usock?version=1';

const [path, ...names] = System.programArgs;
const channel = await new Usock.Seqpacket({max_fds: 1}).open(path);
const peer = new Usock.Peer(channel);
try {
    for (const name of names) {
        const file = await peer.call('Open', {name}, {timeout: 5000});
        // Every GLib has this one; Gio.UnixInputStream has moved to GioUnix.
        const contents = GLib.IOChannel.unix_new(file.take());
        print(new TextDecoder().decode(contents.read_to_end()[1]).trimEnd());
        contents.shutdown(false);
    }
} catch (error) {
    printerr(error.message);
    System.exit(1);
}
channel.close();
