#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later
import Gio from 'gi://Gio';
import System from 'system';
import Usock from 'gi://Usock?version=1';

async function echo(stream) {
    for await (const piece of stream)
        await stream.send_async(piece);  // waits while the client does not read
}

const server = new Usock.Server({socket_type: Gio.SocketType.STREAM});
server.connect('connection', (_server, stream) => void echo(stream).catch(logError));
server.listen(System.programArgs[0]);
Usock.run_until_closed();
