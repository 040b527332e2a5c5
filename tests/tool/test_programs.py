# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The tool and the programs that others use for the same: each talks to the other, both ways."""

import os
import subprocess

from tooling import (DEADLINE, TOOL, expect, expect_success, listening, need, output_of,
                     receiving, run, start, wait_for_listener, wait_for_receiver)

SOCAT = need('socat')
NETCAT = need('nc')
LOGGER = need('logger')
ACTIVATE = need('systemd-socket-activate')
NOTIFY = need('systemd-notify')
DATA = os.urandom(1 << 20)


def run_other(*words, data=b'', **options):
    done = subprocess.run(list(map(str, words)), input=data, stdout=subprocess.PIPE, timeout=DEADLINE,
                          check=True, **options)
    return done.stdout


def finish(process):
    output, _ = process.communicate(timeout=DEADLINE)
    expect(process.returncode, 0)
    return output


def socat_connects(path):
    with listening(path, 'listen', '--stream', '--', 'cat'):
        assert run_other(SOCAT, '-t', DEADLINE, '-', f'UNIX-CONNECT:{path}', data=DATA) == DATA
    with listening(path, 'listen', '--', 'cat'):
        expect(run_other(SOCAT, '-t', DEADLINE, '-', f'UNIX-CONNECT:{path},type=5', data=b'packet'),
               b'packet')


def socat_listens(path):
    with start(SOCAT, f'UNIX-LISTEN:{path},fork', 'EXEC:cat'):
        wait_for_listener(path)
        assert output_of('connect', '--stream', path, data=DATA) == DATA
    os.unlink(path)
    with start(SOCAT, f'UNIX-LISTEN:{path},type=5,fork', 'EXEC:cat'):
        wait_for_listener(path)
        # socat would see an end in the end of what it reads, and kill cat half a second later.
        expect(output_of('send', '--reply', path, 'one', 'two'), b'one\ntwo\n')


def socat_sends_datagrams(path):
    with receiving(path, 'receive', '--count=1') as receiver:
        run_other(SOCAT, '-u', '-', f'UNIX-SENDTO:{path}', data=b'from socat')
        expect(finish(receiver), b'from socat\n')


def socat_receives_datagrams(path):
    with start(SOCAT, '-u', f'UNIX-RECV:{path}', '-', stdout=subprocess.PIPE) as process:
        wait_for_receiver(path)
        output_of('send', '-d', path, 'to socat')
        expect(process.stdout.read(8), b'to socat')


def netcat_connects(path):
    with listening(path, 'listen', '--stream', '--', 'cat'):
        assert run_other(NETCAT, '-N', '-U', path, data=DATA) == DATA


def netcat_listens(path):
    with start(NETCAT, '-l', '-N', '-U', path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        wait_for_listener(path)
        process.stdin.write(b'hello')
        process.stdin.close()
        expect(output_of('connect', '--stream', path, data=b'question'), b'hello')
        expect(process.stdout.read(), b'question')


def netcat_sends_datagrams(path):
    with receiving(path, 'receive', '--count=1') as receiver:
        run_other(NETCAT, '-u', '-U', '-q', 0, path, data=b'from netcat')
        expect(finish(receiver), b'from netcat\n')


def logger_logs(path):
    with receiving(path, 'receive', '--count=1') as receiver:
        run_other(LOGGER, '--socket', path, '--tag', 'test', 'hello')
        line = finish(receiver)
        assert line.startswith(b'<13>') and line.endswith(b' test: hello\n'), line


def systemd_notifies(path):
    environment = dict(os.environ, NOTIFY_SOCKET=path)
    # Its last message has a descriptor, and it waits until that is closed.
    with receiving(path, 'receive', '--fds=1', '--framing=null', '--count=2') as manager:
        run_other(NOTIFY, '--ready', '--status=at work', env=environment)
        state, barrier, _ = finish(manager).split(b'\0')
    assert b'READY=1' in state.split(b'\n') and b'STATUS=at work' in state.split(b'\n'), state
    expect(barrier, b'BARRIER=1')


def systemd_starts_it(path):
    for words, command in ((['--seqpacket'], ['listen', '--activated', '--count=1', '--', 'cat']),
                           ([], ['listen', '--stream', '--activated', '--count=1', '--', 'cat'])):
        with start(ACTIVATE, '--listen', path, *words, TOOL, *command, stderr=subprocess.DEVNULL) as service:
            wait_for_listener(path)
            expect(output_of('send', *([] if words else ['--stream']), '--reply', path, 'hello'),
                   b'hello\n' if words else b'hello')
            expect_success(service)
        os.unlink(path)


def systemd_starts_it_by_name(path):
    with start(ACTIVATE, '--listen', path + '-other', '--listen', path, '--seqpacket', '--fdname=one:two',
               TOOL, 'receive', '--activated=two', '--count=1', stdout=subprocess.PIPE,
               stderr=subprocess.DEVNULL) as service:
        wait_for_listener(path)
        output_of('send', path, 'hello')
        expect(service.stdout.read(), b'hello\n')


def systemd_passes_datagrams(path):
    with start(ACTIVATE, '--listen', path, '--datagram', TOOL, 'receive', '--datagram', '--activated',
               '--count=1', stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as service:
        wait_for_receiver(path)
        output_of('send', '-d', path, 'hello')
        expect(service.stdout.read(), b'hello\n')


run(socat_connects, socat_listens, socat_sends_datagrams, socat_receives_datagrams, netcat_connects,
    netcat_listens, netcat_sends_datagrams, logger_logs, systemd_notifies, systemd_starts_it,
    systemd_starts_it_by_name, systemd_passes_datagrams)
