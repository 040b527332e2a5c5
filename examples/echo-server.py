#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
import gi, sys
gi.require_version('Usock', '1')
from gi.repository import Usock

async def echo(channel: Usock.Channel) -> None:
    async with channel:
        async for message in channel:
            await channel.send_async(message)  # waits while the client does not read

async def serve(path: str) -> None:
    with Usock.Server() as server:
        server.listen(path)
        async for channel in server:
            Usock.spawn(echo(channel))

Usock.run(serve(sys.argv[1]))
