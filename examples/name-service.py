#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The service of a name; or, with a question, its client."""
import gi, sys
gi.require_version('Usock', '1')
from gi.repository import GLib, Usock

async def answer(channel: Usock.Channel) -> None:
    async for message in channel:
        channel.send(message.text.upper())

async def serve(name: str) -> None:
    async for channel in Usock.Server.new_for_name(name):
        Usock.spawn(answer(channel))

async def ask(name: str, question: str) -> None:
    with Usock.Seqpacket.new_for_name(name) as channel:
        channel.send(question)
        answer = await channel.receive()
        print(answer.text if answer else 'the service has gone')

try:
    Usock.run(ask(*sys.argv[1:]) if len(sys.argv) > 2 else serve(sys.argv[1]))
except GLib.Error as error:
    sys.exit(error.message)
