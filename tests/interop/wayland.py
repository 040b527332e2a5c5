# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A Wayland client sends the memory of its window to a compositor of ours."""

import os
import subprocess

from interop import expect_success, need, peer, run, start, wait_for_listener

CLIENT = need('weston-simple-shm')


def client_sends_its_memory(path):
    environment = dict(os.environ, XDG_RUNTIME_DIR=os.path.dirname(path), WAYLAND_DISPLAY=path)
    with start(peer, path) as compositor:
        wait_for_listener(path)
        with start(CLIENT, env=environment, stderr=subprocess.DEVNULL):
            expect_success(compositor)


run(client_sends_its_memory)
