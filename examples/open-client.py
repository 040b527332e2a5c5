#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Has files opened by a worker, and prints them: open-client.py PATH NAME..."""

import sys

import gi

gi.require_version('Usock', '1')
from gi.repository import GLib, Usock


async def main(path: str, *names: str) -> None:
    channel = await Usock.Seqpacket(max_fds=1).open(path)
    peer = Usock.Peer(channel)
    for name in names:
        with await peer.call('Open', {'name': name}, timeout=5) as file:
            with open(file.fileno(), encoding='utf-8', closefd=False) as text:
                print(text.read(), end='')
    channel.close()


try:
    Usock.run(main(*sys.argv[1:]))
except GLib.Error as error:
    sys.exit(error.message)
