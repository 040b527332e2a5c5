#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Accepts one client of a listening socket that comes by standard input, a packet socket."""

import os
import sys

import gi

gi.require_version('Usock', '1')
from gi.repository import Gio, GLib, Usock


async def greet() -> None:
    with (Usock.Seqpacket.new_from_fd(0) as parent,
          Usock.Server(socket_type=Gio.SocketType.STREAM) as server):
        parent.set_max_fds(1)  # until then they are refused
        parent.send('ready')
        message = await parent.receive()
        if message is None:
            return
        server.listen_on_fd(message.take_fd(0), 0)
        async for client in server:
            client.end_with_message(f'process {os.getpid()} greets you\n')
            break


try:
    Usock.run(greet())
    Usock.run_until_closed()
except GLib.Error as error:
    sys.exit(error.message)
