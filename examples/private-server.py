#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Everybody may knock, and only who runs this may come in: private-server.py PATH"""

import sys

import gi

gi.require_version('Usock', '1')
from gi.repository import Gio, GLib, Usock


def tell(*words: object) -> None:
    print(*words, flush=True)


def serve(_server: Usock.Server, channel: Usock.Channel) -> None:
    tell('user', channel.get_peer_credentials().get_unix_user(), 'came in')
    channel.connect('data', lambda _channel, data: tell('it says:', data.decode()))


def refused(_server: Usock.Server, peer: Gio.Credentials | None,
            _address: Gio.SocketAddress | None, _reason: int) -> None:
    tell(f'user {peer.get_unix_user()}' if peer else 'somebody unknown', 'was refused')


server = Usock.Server(allowed_users=Usock.AllowedUsers.SAME_USER)
server.set_mode(0o666)  # without this, the others would not find the door
server.connect('connection', serve)
server.connect('drop', refused)
try:
    server.listen(sys.argv[1])
    Usock.run_until_closed()
except GLib.Error as error:
    sys.exit(error.message)
