# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""logger and the journal's native protocol write to us.

What is too long for a datagram comes to the journal as an empty one with sealed memory. logger
knows only the journal of the system, so that is ours in a namespace of our own."""

import fcntl
import os
import socket
import subprocess
import sys

from interop import DEADLINE, expect_success, need, printing, run, start

LOGGER = need('logger')
NAMESPACE = ['unshare', '--mount', *([] if os.getuid() == 0 else ['--map-root-user'])]
# There, the directory that logger knows is the one that is given.
OWN_JOURNAL = """mount -t tmpfs tmpfs /run && mkdir /run/systemd &&
  ln -s "$1" /run/systemd/journal && shift && exec "$@" """
# Longer than any socket's buffer.
VERY_LONG = 20 << 20


def log(*words, text=None, prefix=()):
    with start(*prefix, LOGGER, *words, stdin=subprocess.PIPE) as logger:
        logger.communicate(text, timeout=DEADLINE)
        expect_success(logger)


def logger_by_path(path):
    with printing(path, 2) as messages:
        log('--socket', path, '--id=77', '--tag', 'usock', '--priority', 'daemon.warning', 'hello')
        log('--socket', path, '--tag', 'usock', 'again')
    _, n_fds, line = messages[0]
    # 3 * 8 + 4, the facility and the severity.
    assert n_fds == 0 and line.startswith(b'<28>') and line.endswith(b' usock[77]: hello'), line
    assert messages[1][2].endswith(b' usock: again'), messages


def logger_line_by_line(path):
    lines = [f'line {i}' for i in range(300)]
    with printing(path, len(lines)) as messages:
        log('--socket', path, '--udp', '--tag', 'usock', text='\n'.join(lines).encode())
    assert [line.decode().split('usock: ')[1] for *_, line in messages] == lines


def entry(message):
    return (b'PRIORITY=6\nMESSAGE\n' + len(message).to_bytes(8, 'little') + message + b'\n')


def send_entry(path, message):
    """What sd_journal_send() does."""
    data = entry(message)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(data, path)
            return
        except OSError:
            pass
        memory = os.memfd_create('journal', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with open(memory, 'wb') as file:
            file.write(data)
            file.flush()
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK |
                        fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
            sender.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                 memory.to_bytes(4, sys.byteorder))], 0, path)


def native_protocol(path):
    with printing(path, 2) as messages:
        send_entry(path, b'short')
        send_entry(path, b'x' * VERY_LONG)
    assert [entry(b'short'), entry(b'x' * VERY_LONG)] == [data for *_, data in messages]
    assert [n_fds for _, n_fds, _ in messages] == [0, 1]


def logger_to_the_journal(path):
    prefix = [*NAMESPACE, 'sh', '-c', OWN_JOURNAL, 'sh', os.path.dirname(path)]
    with printing(path, 2) as messages:
        log('--journald', text=b'MESSAGE=hello\nPRIORITY=5\n', prefix=prefix)
        log('--journald', text=b'MESSAGE=' + b'x' * VERY_LONG + b'\n', prefix=prefix)
    assert [n_fds for _, n_fds, _ in messages] == [0, 1]
    short, long = (data for *_, data in messages)
    assert b'MESSAGE=hello\nPRIORITY=5\n' in short, short
    assert b'MESSAGE=' + b'x' * VERY_LONG + b'\n' in long, f'{len(long)} bytes'


cases = [logger_by_path, logger_line_by_line, native_protocol]
if subprocess.run([*NAMESPACE, 'mount', '-t', 'tmpfs', 'tmpfs', '/run'], check=False,
                  stderr=subprocess.DEVNULL).returncode == 0:
    cases.append(logger_to_the_journal)
run(*cases)
