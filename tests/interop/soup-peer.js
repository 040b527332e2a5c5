// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// As soup-peer.c: soup-peer.js PATH.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Soup from 'gi://Soup?version=3.0';
import System from 'system';
import Usock from 'gi://Usock?version=1';

const LATER_MS = 50;
const big = new Uint8Array(20_000_000).fill('A'.charCodeAt(0));
const websockets = new Set();

function answer(message, data) {
    message.set_response('application/octet-stream', Soup.MemoryUse.COPY, data);
}

function onRequest(_soup, message, path) {
    message.set_status(200, null);
    if (path === '/echo') {
        answer(message, message.get_request_body().flatten().get_data() ?? new Uint8Array());
    } else if (path === '/big') {
        answer(message, big);
    } else if (path === '/later') {
        message.pause();
        GLib.timeout_add(GLib.PRIORITY_DEFAULT, LATER_MS, () => {
            answer(message, new TextEncoder().encode('later'));
            message.unpause();
            return GLib.SOURCE_REMOVE;
        });
    } else {
        answer(message, new TextEncoder().encode(path));
    }
}

const soup = new Soup.Server();
soup.add_handler(null, onRequest);
soup.add_websocket_handler('/ws', null, null, (_soup, _message, _path, websocket) => {
    websockets.add(websocket);
    websocket.connect('closed', () => websockets.delete(websocket));
    websocket.connect('message', (_websocket, type, bytes) => websocket.send_message(type, bytes));
});

const server = new Usock.Server({socket_type: Gio.SocketType.STREAM});
server.connect('connection', (_server, stream) => {
    const [connection] = stream.steal_connection();
    soup.accept_iostream(connection, stream.local_address, stream.remote_address);
});
server.listen(System.programArgs[0]);
new GLib.MainLoop(null, false).run();
