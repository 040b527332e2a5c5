#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Asks questions, and prints the answers: dgram-client.py PATH QUESTION..."""

import sys
import gi
gi.require_version('Usock', '1')
from gi.repository import Usock

path, *questions = sys.argv[1:]
with Usock.Dgram() as client:
    client.autobind()  # a name of our own, so that we can be answered
    client.connect_to_path(path)
    for question in questions:
        client.send(question)
        answer = Usock.run(client.receive())
        print(answer.text if answer else 'the socket was closed')
