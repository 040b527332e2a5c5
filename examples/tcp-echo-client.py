#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

# Sends lines by TCP and prints what comes back: tcp-echo-client.py HOST PORT TEXT...

import gi, sys
gi.require_version('Usock', '1')
from gi.repository import GLib, Usock

async def ask(host: str, port: str, *questions: str) -> None:
    async with await Usock.Stream().open_host(host, int(port)) as stream:
        for question in questions:
            await stream.send_async(question + '\n')
            answer = await stream.receive_line()
            print(sys.exit('the server has gone') if answer is None else answer)

try:
    Usock.run(ask(*sys.argv[1:]))
except GLib.Error as error:
    sys.exit(error.message)
