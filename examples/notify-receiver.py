#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Prints what services tell their manager: notify-receiver.py PATH, which is their NOTIFY_SOCKET"""

import sys
import gi
gi.require_version('Usock', '1')
from gi.repository import Usock

# A service may wait until we close the descriptor that it sends; the signal does so by itself.
manager = Usock.Dgram(max_fds=1, pass_credentials=True)
manager.connect('message', lambda manager, message: print(
    f'{message.get_credentials().get_unix_pid()}: {message.text}', flush=True))
manager.bind(sys.argv[1])
Usock.run_until_closed()
