#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

# Returns by TCP what it is sent: tcp-echo-server.py HOST [PORT], says where it listens

import gi, sys
gi.require_version('Usock', '1')
from gi.repository import Gio, Usock

async def echo(channel: Usock.Channel) -> None:
    async with channel:
        async for message in channel:
            await channel.send_async(message)  # waits while the client does not read

async def serve(host: str, port: str = '0') -> None:
    with Usock.Server.new(Gio.SocketType.STREAM) as server:
        server.listen_on_host(host, int(port))
        address = server.get_local_address()
        assert address is not None  # it listens
        print(Usock.address_to_string(address), flush=True)
        async for channel in server:
            Usock.spawn(echo(channel))

Usock.run(serve(*sys.argv[1:]))
