#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Sends an open file: send-fd.py PATH FILE"""

import sys

import gi

gi.require_version('Usock', '1')
from gi.repository import GLib, Usock


async def send(path: str, name: str) -> None:
    async with await Usock.Seqpacket().open(path) as channel:
        with open(name, 'rb') as file:
            await channel.send_async(name, fds=[file])


try:
    Usock.run(send(*sys.argv[1:]))
except OSError as error:
    sys.exit(str(error))
except GLib.Error as error:
    sys.exit(error.message)
