#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Sends an open file: send-fd.js PATH FILE

import Gio from 'gi://Gio';
import System from 'system';
import Usock from 'gi://Usock?version=1';

const [path, name] = System.programArgs;
const stream = Gio.File.new_for_commandline_arg(name).read(null);
const channel = await new Usock.Seqpacket().open(path);
await channel.send_async(name, {fds: [stream]});
channel.close();
stream.close(null);
