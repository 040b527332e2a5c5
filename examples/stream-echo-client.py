#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
import gi, sys
gi.require_version('Usock', '1')
from gi.repository import GLib, Usock

async def ask(path: str, *questions: str) -> None:
    async with await Usock.Stream().open(path) as stream:
        for question in questions:
            await stream.send_async(question + '\n')
            answer = await stream.receive_line()
            print(answer if answer is not None else sys.exit('the server has gone'))

try:
    Usock.run(ask(*sys.argv[1:]))
except GLib.Error as error:
    sys.exit(error.message)
