# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the commands of the tool do, what they say when they can not, and how they end."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

from tooling import DEADLINE, TOOL, background, expect, fails, listening, output_of, receiving, run, tool

SO_PASSRIGHTS = 83  # Python has no name for it.
COMMANDS = ('connect', 'listen', 'send', 'receive', 'call', 'serve', 'monitor', 'pass', 'notify', 'wait')


def finish(process, data=None):
    output, _ = process.communicate(data, timeout=DEADLINE)
    expect(process.returncode, 0)
    return output


def version_and_help(_path):
    assert re.fullmatch(rb'usock \d+\.\d+\.\d+\n', output_of('--version'))
    for command in COMMANDS:
        assert command.encode() in output_of('--help')
        text = output_of(command, '--help').decode()
        assert f'usock {command}' in text and '--timeout' in text, text


def usage_is_2(path):
    expect(tool().returncode, 2)
    fails(2, 'no command “frobnicate”', 'frobnicate')
    fails(2, '--frobnicate', 'connect', '--frobnicate')
    for command in COMMANDS:
        if command != 'notify':
            fails(2, 'PLACE', command)
    fails(2, 'too many', 'connect', path, path)
    fails(2, 'two places', 'listen', '--name=org.example.App', '--activated')
    fails(2, '--timeout', 'wait', path, '--timeout=soon')
    fails(2, '--timeout', 'wait', path, '--timeout=-1')
    fails(2, '--mode', 'listen', path, '--mode=0999')
    fails(2, '--framing', 'connect', path, '--framing=rows')
    fails(2, 'SERVER', 'monitor', path)
    fails(2, 'COMMAND', 'serve', path)
    fails(2, 'NAME', 'call', path)
    fails(2, 'NAME', 'call', path, '')
    fails(2, 'FILE', 'pass', path)
    fails(2, 'nothing to tell', 'notify')
    fails(2, 'no value', 'call', path, 'Add', '--value', '(1,')


def failing_is_1(path):
    for command in (['connect'], ['send'], ['call', 'Name'], ['pass', '/dev/null']):
        fails(1, f'Could not connect to “{path}”: No such file', command[0], path, *command[1:])
    fails(1, f'Could not connect to “{path}”', 'send', '-d', path, 'text')
    fails(1, f'Could not listen on “{path}/socket”', 'listen', path + '/socket')
    fails(1, 'could not open', 'pass', path, path + '/missing')
    with listening(path, 'receive'):
        fails(1, 'Address already in use', 'listen', path)
        fails(1, 'another type', 'connect', '--stream', path)


def timeout_is_3(path):
    fails(3, 'nothing has happened', 'wait', '--timeout=0.05', path)
    fails(3, 'nothing has happened', 'listen', '--timeout=0.05', path)
    assert not os.path.exists(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(path)
        server.listen()
        fails(3, 'nothing has happened', 'call', path, 'Name', '--timeout=0.05')
        fails(3, 'nothing has happened', 'send', '--reply', path, 'hello', '--timeout=0.05')


def messages_stay_apart(path):
    with listening(path, 'receive', '--count=3') as receiver:
        expect(output_of('send', path, 'one', '', 'two\nlines'), b'')
        expect(finish(receiver), b'one\n\ntwo\nlines\n')


def frames_of_each_kind(path):
    cases = {'lines': (b'a\n\nbc', b'a\n\nbc\n'), 'null': (b'a\0\0b\n\0', b'a\0\0b\n\0'),
             'length': (b'\1\0\0\0a\0\0\0\0\2\0\0\0\n\0',) * 2}
    for framing, (sent, received) in cases.items():
        with listening(path, 'receive', '--framing', framing, '--count=3') as receiver:
            output_of('send', '-f', framing, path, data=sent)
            expect(finish(receiver), received)
    with listening(path, 'receive', '-f', 'raw', '--count=2') as receiver:
        output_of('send', '-f', 'whole', path, data=b'a\nb\n')
        output_of('send', '-f', 'raw', path, data=b'c')
        expect(finish(receiver), b'a\nb\nc')
    with listening(path, 'receive'):
        fails(1, 'within a message', 'send', '-f', 'length', path, data=b'\5\0\0\0abc')


def answers_are_printed(path):
    for words in ([], ['--stream']):
        with listening(path, 'listen', *words, '--', 'cat'):
            expect(output_of('send', *words, '--reply', path, 'one', 'two'),
                   b'onetwo' if words else b'one\ntwo\n')
    with listening(path, 'listen', '--', 'true'):
        assert tool('send', '--reply', path, 'hello').returncode == 1


def both_ways(path):
    with listening(path, 'listen') as server:
        with background('connect', path) as client:
            client.stdin.write(b'question\n')
            client.stdin.flush()
            expect(server.stdout.readline(), b'question\n')
            server.stdin.write(b'answer\n')
            server.stdin.flush()
            expect(client.stdout.readline(), b'answer\n')
            client.stdin.close()
            expect(server.stdout.read(), b'')
            server.stdin.write(b'and more\n')
            server.stdin.close()
            expect(client.stdout.read(), b'and more\n')
            expect((client.wait(DEADLINE), server.wait(DEADLINE)), (0, 0))
    assert not os.path.exists(path)


def peer_that_is_gone_ends_it(path):
    with listening(path, 'listen', '--stream', '--', 'true'):
        with background('connect', '--stream', path) as client:
            # Standard input stays open.
            client.wait(DEADLINE)


def a_command_knows_who_is_there(path):
    with listening(path, 'listen', '--count=1', '--', 'sh', '-c', 'echo $USOCK_UID $USOCK_PID') as server:
        words = output_of('connect', path).split()
        expect(int(words[0]), os.getuid())
        assert int(words[1]) > 1
        expect(server.wait(DEADLINE), 0)


def no_more_commands_than_allowed(path):
    with listening(path, 'listen', '--max-connections=1', '--', 'cat'):
        with background('connect', path) as first:
            first.stdin.write(b'first\n')
            first.stdin.flush()
            expect(first.stdout.readline(), b'first\n')
            with background('connect', path) as second:
                second.stdin.write(b'second\n')
                second.stdin.close()
                first.stdin.close()
                expect(first.stdout.read(), b'')
                expect(second.stdout.read(), b'second\n')


def abstract_name(path):
    place = f'@usock-tool-{os.getpid()}\\x00'
    with background('receive', place, '--count=1') as receiver:
        output_of('send', '--wait', place, 'hello')
        expect(finish(receiver), b'hello\n')


def name_of_a_service(path):
    environment = dict(os.environ, XDG_RUNTIME_DIR=os.path.dirname(path))
    with background('receive', '--name=org.example.App', '--count=1', env=environment) as receiver:
        output_of('send', '--wait', '--name=org.example.App', 'hello', env=environment)
        expect(finish(receiver), b'hello\n')
    fails(2, 'datagrams', 'send', '-d', '--name=org.example.App')


def host_and_port(_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        place = f'localhost:{probe.getsockname()[1]}'
    fails(1, 'Connection refused', 'connect', place)
    with background('listen', place, '--count=2', '--', 'cat') as server:
        output_of('wait', place)
        expect(output_of('send', '--reply', place, 'hello'), b'hello')
        expect(server.wait(DEADLINE), 0)
    with background('receive', '-d', place, '--count=1') as receiver:
        while not receiver.poll() and tool('send', '-d', place, 'hello').returncode:
            pass
        expect(finish(receiver), b'hello\n')


def mode_and_group_of_the_path(path):
    with listening(path, 'listen'):
        expect(os.stat(path).st_mode & 0o777, 0o600)
    with listening(path, 'receive', '--mode=666'):
        expect(os.stat(path).st_mode & 0o777, 0o666)
    with receiving(path, 'receive', '--mode=640'):
        expect(os.stat(path).st_mode & 0o777, 0o640)
    fails(1, 'no-such-group', 'listen', path, '--group=no-such-group')


def datagrams_and_answers(path):
    with receiving(path, 'receive', '--count=2') as receiver:
        output_of('send', '-d', path, 'one', 'two')
        expect(finish(receiver), b'one\ntwo\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.settimeout(DEADLINE)
        with background('send', '-d', '--reply', path, 'question') as client:
            question, sender = server.recvfrom(100)
            server.sendto(question.upper(), sender)
            expect(finish(client), b'QUESTION\n')
        with background('connect', '-d', path) as client:
            client.stdin.write(b'hello\n')
            client.stdin.flush()
            _, sender = server.recvfrom(100)
            server.sendto(b'goodbye', sender)
            expect(client.stdout.readline(), b'goodbye\n')
            client.stdin.close()
            expect(client.wait(DEADLINE), 0)


def call_and_serve(path):
    script = ('case $USOCK_CALL in Upper) tr a-z A-Z;; Who) echo $USOCK_UID;; Bytes) printf "\\377";;'
              'Nothing) ;; *) echo "there is no $USOCK_CALL"; exit 1;; esac')
    with listening(path, 'serve', '--', 'sh', '-c', script):
        expect(output_of('call', path, 'Upper', 'hello'), b'HELLO\n')
        expect(output_of('call', path, 'Who'), b'%d\n' % os.getuid())
        expect(output_of('call', path, 'Bytes'), b'\xff')
        expect(output_of('call', path, 'Nothing'), b'')
        expect(output_of('call', path, 'Upper', '-', data=b'a' * 3000000), b'A' * 3000000 + b'\n')
        expect(output_of('call', '--post', path, 'Upper', 'x'), b'')
        fails(1, 'there is no Frob', 'call', path, 'Frob')
    with listening(path, 'serve', '--stream', '--', 'cat'):
        expect(output_of('call', '--stream', path, 'Any', 'streamed'), b'streamed\n')


def caller_that_is_gone_ends_the_command(path):
    pids = path + '.pid'
    with listening(path, 'serve', '--', 'sh', '-c', f'echo $$ >{pids}; exec sleep 1000'):
        with background('call', path, 'Sleep') as client:
            pid = wait_for(lambda: int(read(pids) or 0))
            client.terminate()
        wait_for(lambda: not os.path.exists(f'/proc/{pid}'))


def read(path):
    with contextlib.suppress(FileNotFoundError), open(path, encoding='utf-8') as file:
        return file.read()
    return ''


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if result := condition():
            return result
        os.sched_yield()
    raise AssertionError('it did not come about')


def senders_are_told():
    """Of who takes no descriptors: since Linux 6.16."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, SO_PASSRIGHTS, 0)
        except OSError:
            return False
    return True


def open_files_are_passed(path):
    file = path + '.txt'
    with open(file, 'w', encoding='utf-8') as stream:
        stream.write('contents\n')
    for words in ([], ['--stream'], ['--datagram']):
        begin = receiving if words == ['--datagram'] else listening
        own = [] if words == ['--datagram'] else words
        with begin(path, 'receive', *own, '--fds=2', '--contents', '--count=1') as receiver:
            output_of('pass', *words, path, file, file)
            expect(finish(receiver), b'contents\n' * 2)
    with receiving(path, 'receive', '--fds=1', '-v', '--count=1') as receiver:
        output_of('pass', '-d', '--memfd', '--text=', path, '-', data=b'from a pipe')
        assert b'0 bytes [memfd]' in finish(receiver)
    with listening(path, 'receive', '--fds=1', '-v', '--count=1') as receiver:
        with open(file, 'rb') as stream:
            subprocess.run([TOOL, 'send', '--fd=0', path, 'with it'], stdin=stream, check=True,
                           timeout=DEADLINE)
        assert b'7 bytes [file]' in finish(receiver)
    with listening(path, 'receive'):
        expect(tool('pass', path, file).returncode, 1 if senders_are_told() else 0)


def state_is_told(path):
    environment = dict(os.environ, NOTIFY_SOCKET=path)
    with receiving(path, 'receive', '--framing=null', '--count=1') as manager:
        output_of('notify', '--ready', '--status=at work', 'X_OWN=1', env=environment)
        expect(finish(manager), b'READY=1\nSTATUS=at work\nX_OWN=1\0')
    with receiving(path, 'receive', '--fds=1', '-v', '--count=1') as manager:
        output_of('notify', '--fd=0', 'FDNAME=stored', env=environment)
        assert b'[pipe]' in finish(manager)
    fails(1, 'Could not notify', 'notify', '--ready', env=environment)
    output_of('notify', '--ready', env=dict(environment, NOTIFY_SOCKET=''))


def signals_end_it_as_the_shell_expects(path):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        for command in (['listen'], ['receive'], ['serve', 'cat'], ['monitor', path + '-server']):
            with listening(path, *command) as process:
                process.send_signal(number)
                expect(process.wait(DEADLINE), -number)
            assert not os.path.exists(path), f'{command} left its path behind'


def it_waits_for_a_server(path):
    # It is there at once, and then nobody listens any more: there may be nothing to see.
    with background('connect', '--wait', path) as client:
        with background('listen', path) as server:
            server.stdin.write(b'here\n')
            server.stdin.close()
            expect(client.stdout.readline(), b'here\n')
    with background('wait', '-d', path) as client:
        with receiving(path, 'receive'):
            expect(client.wait(DEADLINE), 0)


if __name__ == '__main__':
    run(version_and_help, usage_is_2, failing_is_1, timeout_is_3, messages_stay_apart,
        frames_of_each_kind, answers_are_printed, both_ways, peer_that_is_gone_ends_it,
        a_command_knows_who_is_there, no_more_commands_than_allowed, abstract_name, name_of_a_service,
        host_and_port, mode_and_group_of_the_path, datagrams_and_answers, call_and_serve,
        caller_that_is_gone_ends_the_command, open_files_are_passed, state_is_told,
        signals_end_it_as_the_shell_expects, it_waits_for_a_server)
