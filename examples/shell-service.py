#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The service of shell-client.js, by name: it counts, and tells whoever is there. With the name
org.example.Timer it may be started by systemd as well."""

import sys
from typing import Any

import gi

gi.require_version('Usock', '1')
from gi.repository import GLib, Usock


def serve(_server: Usock.Server, channel: Usock.Channel) -> None:
    peer = Usock.Peer(channel)

    @peer.handle('Start')
    async def start(body: dict[str, Any]) -> str:
        for second in range(body['steps']):
            peer.post('Progress', {'name': body['name'], 'second': second})
            await Usock.sleep(0.01)
        return f'{body["name"]} is ready'


try:
    server = Usock.Server.new_for_name(sys.argv[1])
    server.connect('connection', serve)
    Usock.run_until_closed()
except GLib.Error as error:
    sys.exit(error.message)
