#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Waits for one open file, tells who sent it, and prints what is in it: receive-fd.js PATH

import GLib from 'gi://GLib';
import System from 'system';
import Usock from 'gi://Usock?version=1';

async function receive(path) {
    const server = new Usock.Server({max_fds: 1, pass_credentials: true});
    server.listen(path);
    for await (const channel of server) {
        for await (const message of channel) {
            server.close();
            return message;
        }
    }
    throw new Error('the sender has gone');
}

const message = await receive(System.programArgs[0]);
const sender = message.get_credentials();
// Every GLib has this one; Gio.UnixInputStream has moved to GioUnix.
const file = GLib.IOChannel.unix_new(message.take_fd(0));
const [, contents] = file.read_to_end();
file.shutdown(false);
const line = new TextDecoder().decode(contents).trimEnd();
print(`from user ${sender.get_unix_user()}, process ${sender.get_unix_pid()}: ${line}`);
