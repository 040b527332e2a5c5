# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The body of examples/demo: demo.py BUILD_DIRECTORY, in the environment of `meson devenv`.

It starts the examples as the programs that they are, and fails if one of them does not do what it
should."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

DEADLINE = 20
OTHER_USER = 61001

here = os.path.dirname(os.path.abspath(__file__))
build = os.path.abspath(sys.argv[1])


def example(language, name):
    return {
        'C': [os.path.join(build, 'examples', name)],
        'GJS': ['gjs', '-m', os.path.join(here, name + '.js')],
        'Python': [sys.executable, os.path.join(here, name + '.py')],
    }[language]


def wait_until_listening(path, process):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        # The names of other programs need not be text.
        with open('/proc/net/unix', 'rb') as table:
            # Field 3 holds the flags: 0x10000 says that connections are accepted.
            if any(words[-1] == os.fsencode(path) and int(words[3], 16) & 0x10000
                   for words in map(bytes.split, table)):
                return
        time.sleep(0.005)
    raise RuntimeError(f'nobody listens on {path}')


@contextlib.contextmanager
def started(command, path):
    with subprocess.Popen([*command, path], stdout=subprocess.PIPE, encoding='utf-8') as process:
        try:
            wait_until_listening(path, process)
            yield process
        finally:
            process.kill()


def output_of(command, text=None):
    result = subprocess.run(command, input=text, stdout=subprocess.PIPE, encoding='utf-8',
                            timeout=DEADLINE, check=True)
    return result.stdout.rstrip('\n')


def talk(path):
    questions = ['hello', '', 'grüße 🧦']
    for language in ('C', 'GJS', 'Python'):
        answers = output_of([*example(language, 'echo-client'), path, *questions]).split('\n')
        show(f'{language} client', questions, answers)

    question = 'hello'
    tool = os.path.join(build, 'usock', 'tool', 'usock')
    show('the tool', [question], [output_of([tool, 'send', '--reply', path, question])])


def show(who, questions, answers):
    if answers != questions:
        raise RuntimeError(f'{who} sent {questions} and got {answers}')
    print(f'  {who:14} sent and got back', ', '.join(f'“{text}”' for text in questions))


def pass_descriptors(directory):
    secret = os.path.join(directory, 'letter')
    with open(secret, 'w', encoding='utf-8') as letter:
        letter.write('what stands in the file\n')

    for sender, receiver in (('C', 'GJS'), ('GJS', 'Python'), ('Python', 'C')):
        path = os.path.join(directory, f'{sender}-to-{receiver}')
        with started(example(receiver, 'receive-fd'), path) as process:
            sending = subprocess.Popen([*example(sender, 'send-fd'), path, secret])
            if sending.wait(timeout=DEADLINE):
                raise RuntimeError(f'the {sender} sender failed')
            printed, _ = process.communicate(timeout=DEADLINE)
        expected = (f'from user {os.getuid()}, process {sending.pid}: '
                    'what stands in the file')
        if process.returncode or printed.strip() != expected:
            raise RuntimeError(f'the {receiver} receiver printed {printed!r}, not {expected!r}')
        print(f'  {sender:6} → {receiver:6} {printed.strip()}')


def knock(path, user):
    """Says something to the server as that user, who needs a process of his own."""
    pid = os.fork()
    if pid == 0:
        try:
            if user != os.getuid():
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.connect(path)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.send(b'hello')
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f'user {user} could not even connect')


def lines_of(process, *expected):
    printed = [process.stdout.readline().rstrip('\n') for _ in expected]
    if printed != list(expected):
        raise RuntimeError(f'the server printed {printed}, not {list(expected)}')
    return ', '.join(printed)


def refuse(directory):
    user = os.getuid()
    # Otherwise another user would not even get to the socket.
    os.chmod(directory, 0o755)
    for language in ('C', 'GJS', 'Python'):
        path = os.path.join(directory, f'private-{language}')
        with started(example(language, 'private-server'), path) as server:
            knock(path, user)
            told = lines_of(server, f'user {user} came in', 'it says: hello')
            if user == 0:
                knock(path, OTHER_USER)
                told += '; ' + lines_of(server, f'user {OTHER_USER} was refused')
        print(f'  {language:6} {told}')
    if user != 0:
        print('  (Only root can be another user, so nobody was refused.)')


def demonstrate(directory):
    path = os.path.join(directory, 'echo')
    with started(example('C', 'echo-server'), path) as server:
        print(f'A server in C listens on {path} (mode {os.stat(path).st_mode & 0o777:04o}).')
        print('Clients connect, and every message comes back whole, the empty one too:')
        talk(path)
        server.send_signal(signal.SIGINT)
        if server.wait(timeout=DEADLINE) or os.path.exists(path):
            raise RuntimeError(f'the server did not end well: {server.returncode}')
    print('An open file goes from program to program, with the credentials of who sent it:')
    pass_descriptors(directory)
    print('A server for its own user only lets nobody else in, though everybody may connect:')
    refuse(directory)
    print('All went well.')


with tempfile.TemporaryDirectory(prefix='usock-demo-') as temporary:
    try:
        demonstrate(temporary)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        sys.exit(f'The demo failed: {error}')
