#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
import gi, sys
gi.require_version('Usock', '1')
from gi.repository import Gio, Usock

async def echo(stream: Usock.Channel) -> None:
    async with stream:
        async for piece in stream:
            await stream.send_async(piece)  # waits while the client does not read

async def serve(path: str) -> None:
    with Usock.Server(socket_type=Gio.SocketType.STREAM) as server:
        server.listen(path)
        async for stream in server:
            Usock.spawn(echo(stream))

Usock.run(serve(sys.argv[1]))
