#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Everybody may knock, and only who runs this may come in: private-server.js PATH

import System from 'system';
import Usock from 'gi://Usock?version=1';

const server = new Usock.Server({
    mode: 0o666, // without this, the others would not find the door
    allowed_users: Usock.AllowedUsers.SAME_USER,
});
server.connect('connection', (_server, channel) => {
    print(`user ${channel.get_peer_credentials().get_unix_user()} came in`);
    channel.connect('data', (_channel, bytes) => {
        print(`it says: ${new TextDecoder().decode(bytes)}`);
    });
});
server.connect('drop', (_server, peer, _address, _reason) => {
    print(`${peer ? `user ${peer.get_unix_user()}` : 'somebody unknown'} was refused`);
});
server.listen(System.programArgs[0]);
Usock.run_until_closed();
