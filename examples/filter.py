#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Has the kernel drop messages: filter.py CHARACTER TEXT..., prints those that begin with it"""

import sys
import gi
gi.require_version('Usock', '1')
from gi.repository import Usock

# As tcpdump -dd writes it: code, where to go if it is so, where if not, operand.
LOAD_BYTE, JUMP_IF_EQUAL, RETURN = 0x30, 0x15, 0x06

character, *texts = sys.argv[1:]
sender, receiver = Usock.Seqpacket.pair()
receiver.set_option(Usock.Level.SOCKET, Usock.SocketOption.ATTACH_FILTER, [
    (LOAD_BYTE, 0, 0, 0),
    (JUMP_IF_EQUAL, 0, 1, ord(character)),
    (RETURN, 0, 0, 0xffffffff),
    (RETURN, 0, 0, 0),
])
receiver.connect('data', lambda receiver, data: print(data.decode(), flush=True))
for text in texts:
    sender.send(text)
sender.end()
Usock.run_until_closed()
