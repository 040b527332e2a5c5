# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Runs the sessions that usock.1 and the chapter about the tool show, and expects what they print.

examples.py TOOL PAGE...

Lines that begin with $ are typed, and go on with >; the others are printed, in whatever order those
come that are printed by several programs. Three dots stand for anything."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time

from interop import DEADLINE, need, wait_for_listener, wait_for_receiver

TROFF = re.compile(r'^\.EX\n(.*?)^\.EE$', re.MULTILINE | re.DOTALL)
MARKDOWN = re.compile(r'^```console\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def sessions(path):
    with open(path, encoding='utf-8') as file:
        text = file.read()
    if not path.endswith('.1'):
        return MARKDOWN.findall(text)
    return [re.sub(r'\\(.)', lambda match: {'e': '\\', '|': ''}.get(match[1], match[1]), session)
            for session in TROFF.findall(text)]


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def split(session):
    """The commands, and what all of them print."""
    session = session.replace('127.0.0.1:8765', f'127.0.0.1:{free_port()}')
    commands, printed = [], []
    for line in session.splitlines():
        if line.startswith('$ '):
            commands.append(line[2:])
        elif line.startswith('> '):
            commands[-1] += '\n' + line[2:]
        else:
            printed.append(line)
    return commands, printed


def script_of(commands):
    """A person types the next line when the last has begun to listen."""
    lines = []
    for command in commands:
        lines.append(command)
        path = re.search(r'[\w-]+\.sock', command)
        if command.endswith(' &') and path and 'usock wait' not in command:
            kind = 'datagram' if '--datagram' in command else 'connection'
            lines.append(f'"{sys.executable}" "{os.path.abspath(__file__)}" --wait {kind} {path[0]}')
    return '\n'.join(lines)


def matches(printed, output):
    lines = output.splitlines()
    for wanted in printed:
        pattern = re.compile('.*'.join(map(re.escape, wanted.split('...'))) + r'\Z')
        found = next((line for line in lines if pattern.match(line)), None)
        if found is None:
            return False
        lines.remove(found)
    return not lines


def try_session(session, directory):
    commands, printed = split(session)
    shown = os.path.join(directory, 'shown')
    environment = dict(os.environ, XDG_RUNTIME_DIR=directory, TMPDIR=directory)
    environment['PATH'] = os.path.dirname(os.path.abspath(sys.argv[1])) + ':' + environment['PATH']
    with open(shown, 'wb') as file:
        shell = subprocess.Popen(['sh', '-c', script_of(commands)], cwd=directory, env=environment,
                                 stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                 start_new_session=True)
    deadline = time.monotonic() + DEADLINE
    try:
        while True:
            with open(shown, encoding='utf-8') as file:
                output = file.read()
            if shell.poll() is not None and matches(printed, output):
                return None
            if time.monotonic() > deadline:
                return output
            time.sleep(0.01)
    finally:
        try:
            os.killpg(shell.pid, 9)
        except ProcessLookupError:
            pass
        shell.wait()


def main():
    for program in ('socat', 'curl', 'logger', 'systemd-notify', 'systemd-socket-activate'):
        need(program)
    tried = [(path, session) for path in sys.argv[2:] for session in sessions(path)]
    assert all(sessions(path) for path in sys.argv[2:])
    failed = 0
    print(f'1..{len(tried)}')
    for number, (path, session) in enumerate(tried, 1):
        with tempfile.TemporaryDirectory(prefix='usock-') as directory:
            output = try_session(session, directory)
        first = session.splitlines()[0]
        print('ok' if output is None else 'not ok', number, f'{os.path.basename(path)}: {first}',
              flush=True)
        if output is not None:
            failed += 1
            print('# It printed:', *output.splitlines(), sep='\n#   ')
    sys.exit(failed > 0)


if sys.argv[1] == '--wait':
    place = os.path.realpath(sys.argv[3])
    if sys.argv[3] == os.path.basename(place) and sys.argv[2] == 'datagram':
        wait_for_receiver(place)
    else:
        wait_for_listener(place)
else:
    main()
