#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later
// Has a file opened by a child, and prints it: open-parent.js NAME CHILD ARGUMENT...
import GLib from 'gi://GLib';
import System from 'system';
import Usock from 'gi://Usock?version=1';

const [name, ...child] = System.programArgs;
const [peer, process] = Usock.Peer.spawn(child);
peer.channel.max_fds = 1;
// From here on a parent need not see any file: it may confine itself.
const file = await peer.call('Open', name, {timeout: 10000});
// Every GLib has this one; Gio.UnixInputStream has moved to GioUnix.
const contents = GLib.IOChannel.unix_new(file.take());
print(new TextDecoder().decode(contents.read_to_end()[1]).trimEnd());
contents.shutdown(false);
peer.channel.close();
process.wait_check(null);
