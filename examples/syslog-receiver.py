#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Prints what is logged: syslog-receiver.py PATH, and then logger --socket PATH TEXT"""

import re
import sys
import gi
gi.require_version('Usock', '1')
from gi.repository import Usock

log = Usock.Dgram(mode=0o666)
log.bind(sys.argv[1])
for message in log:
    if match := re.fullmatch(rb'<(\d+)>(.*)', message.data, re.DOTALL):
        facility, severity = divmod(int(match[1]), 8)
        print(f'facility {facility}, severity {severity}: {match[2].decode()}', flush=True)
