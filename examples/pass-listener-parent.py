#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Listens, and has a child accept: pass-listener-parent.py PATH CHILD... The child gets the
listening socket by a packet socket, which is its standard input."""

import subprocess
import sys

import gi

gi.require_version('Usock', '1')
from gi.repository import Gio, GLib, Usock


async def pass_listener(path: str, *command: str) -> int:
    with Usock.Server(socket_type=Gio.SocketType.STREAM) as server:
        server.pause()  # not we, the child
        server.listen(path)
        ours, theirs = Usock.Seqpacket.pair()
        with ours, subprocess.Popen(command, stdin=theirs.get_fd()) as child:
            theirs.close()
            if await ours.receive():  # it is ready for it
                await ours.send_async(b'', fds=[server.get_fd()])
        return child.returncode


try:
    sys.exit(Usock.run(pass_listener(*sys.argv[1:])))
except OSError as error:
    sys.exit(str(error))
except GLib.Error as error:
    sys.exit(error.message)
