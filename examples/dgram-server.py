#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Answers each question in capitals: dgram-server.py PATH"""

import sys
import gi
gi.require_version('Usock', '1')
from gi.repository import GLib, Usock

server = Usock.Dgram()
server.bind(sys.argv[1])
for question in server:
    try:
        server.send_to(question.text.upper(), question.sender or 'nobody')
    except (GLib.Error, UnicodeError) as error:
        print(error, file=sys.stderr)  # the client is gone, or has no name
