#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
import gi, sys
gi.require_version('Usock', '1')
from gi.repository import GLib, Usock

async def ask(path: str, *questions: str) -> None:
    async with await Usock.Seqpacket().open(path) as channel:
        for question in questions:
            await channel.send_async(question)
            answer = await channel.receive()
            print(answer.text if answer else sys.exit('the server has gone'))

try:
    Usock.run(ask(*sys.argv[1:]))
except GLib.Error as error:
    sys.exit(error.message)
