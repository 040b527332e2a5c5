#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Opens files of one directory for who may not, a sandboxed parent: open-server.py PATH DIRECTORY"""

import os
import sys
from typing import IO

import gi

gi.require_version('Usock', '1')
from gi.repository import Usock

path, directory = sys.argv[1:]


def open_file(body: dict[str, str]) -> IO[bytes]:
    if os.path.basename(body['name']) != body['name']:
        raise PermissionError(13, 'only files of the directory are opened')
    return open(os.path.join(directory, body['name']), 'rb')


server = Usock.Server()
server.connect('connection', lambda _, channel: Usock.Peer(channel).handle('Open', open_file))
server.listen(path)
Usock.run_until_closed()
