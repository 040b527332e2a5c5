#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Waits for one open file, tells who sent it, and prints what is in it: receive-fd.py PATH"""

import sys

import gi

gi.require_version('Usock', '1')
from gi.repository import GLib, Usock


async def receive(path: str) -> Usock.Message | None:
    with Usock.Server(max_fds=1, pass_credentials=True) as server:
        server.listen(path)
        async for channel in server:
            async with channel:
                return await channel.receive()
    return None


try:
    message = Usock.run(receive(sys.argv[1]))
    if message is None:
        sys.exit('the sender has gone')
    with open(message.take_fd(0), encoding='utf-8') as file:
        sender = message.get_credentials()
        assert sender is not None  # the server passes them
        print(f'from user {sender.get_unix_user()}, process {sender.get_unix_pid()}: '
              f'{file.read()}', end='')
except GLib.Error as error:
    sys.exit(error.message)
