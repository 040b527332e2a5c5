# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""QEMU takes a descriptor over its machine protocol, keeps it, and closes it when told to."""

import shutil

from interop import expect_success, peer, run, skip, start, wait_for_listener

SYSTEMS = ['sparc', 'x86_64', 'arm']
QEMU = next(filter(None, (shutil.which(f'qemu-system-{system}') for system in SYSTEMS)), None)

if QEMU is None:
    skip('QEMU is not installed')


def qemu_takes_a_descriptor(path):
    with start(QEMU, '-S', '-M', 'none', '-nographic', '-nodefaults',
               '-qmp', f'unix:{path},server=on,wait=off'):
        wait_for_listener(path)
        with start(peer, 'connect', path, 'qmp') as client:
            expect_success(client)


run(qemu_takes_a_descriptor)
