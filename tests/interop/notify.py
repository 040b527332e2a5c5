# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""systemd-notify and usock_notify() tell us and each other about a service.

systemd-notify passes a descriptor last, the barrier, and fails unless all copies of it are closed
within five seconds."""

import os
import socket

from interop import DEADLINE, expect_success, need, peer, printing, run, start

NOTIFY = need('systemd-notify')
ABSTRACT = f'@usock-notify-{os.getpid()}'


def notify(where, *words):
    environment = dict(os.environ, NOTIFY_SOCKET=where)
    with start(*words, env=environment) as process:
        expect_success(process)


def ready_with_the_barrier(path):
    with printing(path, 2) as messages:
        notify(path, NOTIFY, '--ready', '--status=at work', 'X_OWN=1')
    _, n_fds, text = messages[0]
    assert n_fds == 0, messages
    for line in (b'READY=1', b'STATUS=at work', b'X_OWN=1'):
        assert line in text.split(b'\n'), messages
    assert messages[1] == ('', 1, b'BARRIER=1'), messages


def abstract_name(_path):
    with printing(ABSTRACT, 2) as messages:
        notify(ABSTRACT, NOTIFY, 'WATCHDOG=1')
    assert messages == [('', 0, b'WATCHDOG=1'), ('', 1, b'BARRIER=1')], messages


def we_notify(path):
    with printing(path, 1) as messages:
        notify(path, peer, '-', 'notify', 'READY=1\nSTATUS=at work')
    assert messages == [('', 0, b'READY=1\nSTATUS=at work')], messages


def we_notify_an_abstract_name_with_a_backslash(_path):
    name = ABSTRACT + '\\x41'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind('\0' + name[1:])
        manager.settimeout(DEADLINE)
        notify(name, peer, '-', 'notify', 'READY=1')
        assert manager.recv(100) == b'READY=1'


def we_notify_nobody(_path):
    notify('', peer, '-', 'notify', 'READY=1')


run(ready_with_the_barrier, abstract_name, we_notify,
    we_notify_an_abstract_name_with_a_backslash, we_notify_nobody)
