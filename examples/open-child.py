#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opens files of one directory for the parent that has started it: open-child.py DIRECTORY"""
import gi, os, sys
from typing import IO
gi.require_version('Usock', '1')
from gi.repository import Usock

peer = Usock.Peer(Usock.Seqpacket.new_activated())

@peer.handle('Open')
def open_file(name: str) -> IO[bytes]:
    return open(os.path.join(sys.argv[1], os.path.basename(name)), 'rb')

Usock.run_until_closed()
