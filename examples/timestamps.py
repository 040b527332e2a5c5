#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Tells how long messages lay in the kernel: timestamps.py TEXT..."""

import sys
import time
import gi
gi.require_version('Usock', '1')
from gi.repository import GLib, Usock

LEVEL = Usock.Level.SOCKET

with Usock.Handle(Usock.Family.UNIX, Usock.SockType.DGRAM) as receiver, \
        Usock.Handle(Usock.Family.UNIX, Usock.SockType.DGRAM) as sender:
    receiver.set_option(LEVEL, Usock.SocketOption.TIMESTAMPNS, GLib.Variant('b', True))
    receiver.bind()
    for text in sys.argv[1:]:
        sender.send(text, receiver.props.local_address)
    time.sleep(0.01)

    for _ in sys.argv[1:]:
        message = receiver.recvmsg(timeout=1000)
        assert message is not None  # a datagram socket has no end
        seconds, nanoseconds = message.lookup_control(LEVEL, Usock.SocketOption.TIMESTAMPNS)
        age = time.time_ns() - (seconds * 1_000_000_000 + nanoseconds)
        print(f'{message.text}: {age / 1e6:.3f} ms')
