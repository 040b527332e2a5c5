#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asks, whenever its server is there: steady-client.py PATH QUESTION"""
import gi, sys
gi.require_version('Usock', '1')
from gi.repository import Usock

async def ask(path: str, question: str) -> None:
    client = Usock.Client(max_delay=500)
    client.start(path)
    async for channel in client:
        channel.send(question)
        async for message in channel:
            print(message.text, flush=True)

Usock.run(ask(*sys.argv[1:]))
