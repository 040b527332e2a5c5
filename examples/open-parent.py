#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Has a file opened by a child, and prints it: open-parent.py NAME CHILD ARGUMENT..."""
import gi, sys
gi.require_version('Usock', '1')
from gi.repository import GLib, Usock

async def main(name: str, *child: str) -> None:
    peer, process = Usock.Peer.spawn(child)
    peer.props.channel.set_max_fds(1)
    # From here on a parent need not see any file: it may confine itself.
    async with peer:
        file = await peer.call('Open', name, timeout=10)
        with open(file.take(), encoding='utf-8') as text:
            print(text.read(), end='')
    process.wait_check()

try:
    Usock.run(main(*sys.argv[1:]))
except GLib.Error as error:
    sys.exit(error.message)
