# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""redis answers a thousand commands that were sent in one go: lines, and values of a length that
the line before says."""

import os
import subprocess

from interop import expect_success, need, peer, run, start, wait_for_listener

REDIS = need('redis-server')


def redis_answers(path):
    with start(REDIS, '--port', 0, '--unixsocket', path, '--dir', os.path.dirname(path),
               '--save', '', '--appendonly', 'no', stdout=subprocess.DEVNULL):
        wait_for_listener(path)
        with start(peer, 'connect', path, 'redis', 1000) as client:
            expect_success(client)


run(redis_answers)
