# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The tool as a filter: bytes of any kind, large inputs, slow readers, pipes that break, terminals."""

import fcntl
import hashlib
import os
import pty
import random
import select
import signal
import socket
import subprocess
import termios
import threading

from tooling import DEADLINE, TOOL, background, expect, fails, listening, output_of, receiving, run, tool

MEGABYTE = 1 << 20
MEMORY_MAX = 48 * MEGABYTE


def peak_memory(process):
    with open(f'/proc/{process.pid}/status', encoding='utf-8') as status:
        return int(next(line.split()[1] for line in status if line.startswith('VmHWM'))) * 1024


def wait_until_stuck(pipe):
    """Fills a pipe until nobody takes anything any more; returns how much that was."""
    data = bytes(65536)
    os.set_blocking(pipe.fileno(), False)
    taken = 0
    while select.select([], [pipe], [], 1)[1]:
        try:
            taken += os.write(pipe.fileno(), data)
        except BlockingIOError:
            pass
    os.set_blocking(pipe.fileno(), True)
    return taken


def all_bytes_pass(path):
    data = bytes(range(256)) * 5000 + random.Random(42).randbytes(3 * MEGABYTE)
    with listening(path, 'listen', '--stream', '--', 'cat'):
        expect(hashlib.sha256(output_of('connect', '--stream', path, data=data)).digest(),
               hashlib.sha256(data).digest())


def is_sanitized(process):
    with open(f'/proc/{process.pid}/maps', encoding='utf-8') as maps:
        return 'libasan' in maps.read()


def large_file_passes_in_little_memory(path):
    size = 300 * MEGABYTE
    file = path + '.large'
    with open(file, 'wb') as stream:
        stream.truncate(size)
    with listening(path, 'receive', '--stream', '--count=1') as receiver:
        with open(file, 'rb') as stream, \
                subprocess.Popen([TOOL, 'send', '--stream', path], stdin=stream) as sender:
            received = most = 0
            while received < size:
                piece = receiver.stdout.read(min(MEGABYTE, size - received))
                assert piece, f'{received} bytes came'
                received += len(piece)
                # What a sanitizer sets aside is its own affair.
                if received < size and not is_sanitized(receiver):
                    most = max(most, peak_memory(receiver), peak_memory(sender))
            expect(receiver.stdout.read(), b'')
            assert most < MEMORY_MAX, f'{most} bytes'
            expect(sender.wait(DEADLINE), 0)
        expect(receiver.wait(DEADLINE), 0)


def slow_reader_holds_up_who_sends(path):
    for words in ([], ['--stream']):
        with listening(path, 'receive', '--count=1', *words) as receiver, \
                background('send', *words, '--framing=raw', path) as sender:
            taken = wait_until_stuck(sender.stdin)
            assert taken < 16 * MEGABYTE, f'{taken} bytes went nowhere'
            assert peak_memory(sender) < MEMORY_MAX and peak_memory(receiver) < MEMORY_MAX


def both_directions_at_once(path):
    """Neither waits for the other: an echo of more than fits anywhere."""
    size = 20 * MEGABYTE
    with listening(path, 'listen', '--stream', '--', 'cat'):
        with background('connect', '--stream', path) as client:
            writer = threading.Thread(target=lambda: (client.stdin.write(bytes(size)),
                                                      client.stdin.close()))
            # Nothing is read before all that fits has been written.
            writer.start()
            writer.join(0.5)
            expect(len(client.stdout.read()), size)
            writer.join()
            expect(client.wait(DEADLINE), 0)


def nobody_reads_the_output(path):
    with open(path + '.data', 'wb') as file:
        file.write(b'line\n' * MEGABYTE)
    with listening(path, 'listen', '--stream', '--', 'cat', path + '.data'):
        with background('connect', '--stream', path) as client:
            client.stdout.read(5)
            client.stdout.close()
            expect(client.wait(DEADLINE), -signal.SIGPIPE)
        with background('connect', '--stream', path, stderr=subprocess.PIPE,
                        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN),
                        restore_signals=False) as client:
            client.stdout.read(5)
            client.stdout.close()
            expect(client.wait(DEADLINE), 1)
            assert b'could not write' in client.stderr.read()
    with listening(path, 'receive') as receiver:
        receiver.stdout.close()
        output_of('send', path, 'to nobody')
        expect(receiver.wait(DEADLINE), -signal.SIGPIPE)
    assert not os.path.exists(path)


def disk_is_full(path):
    with listening(path, 'listen', '--', 'echo', 'hello'):
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([TOOL, 'connect', path], stdin=subprocess.DEVNULL, stdout=full,
                                  stderr=subprocess.PIPE, timeout=DEADLINE, check=False)
        expect(done.returncode, 1)
        assert b'No space left' in done.stderr, done


def standard_files_are_closed(path):
    with listening(path, 'receive', '--count=1') as receiver:
        subprocess.run(f'"{TOOL}" send "{path}" hello <&- >&- 2>&-', shell=True, check=True,
                       timeout=DEADLINE)
        expect(receiver.stdout.read(), b'hello\n')


def flags_of_shared_files_are_left_alone(path):
    reading, writing = os.pipe()
    with listening(path, 'listen', '--', 'cat'):
        with subprocess.Popen([TOOL, 'connect', path], stdin=reading, stdout=subprocess.PIPE) as client:
            os.write(writing, b'hello\n')
            expect(client.stdout.readline(), b'hello\n')
            assert not fcntl.fcntl(reading, fcntl.F_GETFL) & os.O_NONBLOCK
            os.close(writing)
            expect(client.wait(DEADLINE), 0)
    os.close(reading)


def message_too_large(path):
    with listening(path, 'receive'):
        fails(1, 'the system takes no more', 'send', '--framing=whole', path, data=bytes(8 * MEGABYTE))
    with listening(path, 'receive'):
        fails(1, 'longer than', 'send', path, data=bytes(65 * MEGABYTE))


def command_gets_a_socket_that_blocks(path):
    script = 'import os; print(os.get_blocking(0), os.get_blocking(1), flush=True)'
    with listening(path, 'listen', '--stream', '--', 'python3', '-c', script):
        expect(output_of('connect', '--stream', path), b'True True\n')


def on_a_terminal(command, environment, until, stdin=subprocess.DEVNULL, stdout=None):
    """What it writes to a terminal, up to some bytes."""
    ours, theirs = pty.openpty()
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    process = subprocess.Popen([TOOL, *command], stdin=stdin, stdout=stdout or theirs, stderr=theirs,
                               env=dict(os.environ, **environment))
    os.close(theirs)
    output = b''
    try:
        while until not in output:
            assert select.select([ours], [], [], DEADLINE)[0], output
            output += os.read(ours, 4096)
        return output
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def colour_on_terminals_only(path):
    colour = {'TERM': 'xterm', 'NO_COLOR': ''}
    assert b'\033[1;31m' in on_a_terminal(['connect', path], colour, b'No such file')
    for environment in ({'TERM': 'xterm', 'NO_COLOR': '1'}, {'TERM': 'dumb', 'NO_COLOR': ''}):
        assert b'\033' not in on_a_terminal(['connect', path], environment, b'No such file')
    assert b'\033' not in tool('connect', path, env=dict(os.environ, **colour)).stderr


def progress_on_terminals_only(path):
    file = path + '.large'
    with open(file, 'wb') as stream:
        stream.truncate(1 << 40)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        stop = threading.Event()

        def drain():
            channel, _ = server.accept()
            with channel:
                while not stop.is_set() and channel.recv(1 << 20):
                    pass

        drainer = threading.Thread(target=drain)
        drainer.start()
        with open(file, 'rb') as stdin:
            output = on_a_terminal(['send', '--stream', path], {}, b' %', stdin, subprocess.DEVNULL)
        stop.set()
        drainer.join()
    assert b'/s, ' in output and b'\n' not in output, output


def hostile_text_does_not_reach_the_terminal(path):
    with receiving(path, 'receive', '-v', '--count=1') as receiver:
        output_of('send', '-d', path, 'a\033]0;title\a\x9b\u202eb')
        output = receiver.stdout.read()
        assert all(0x20 <= byte < 0x7f or byte == 0x0a for byte in output), output


if __name__ == '__main__':
    run(all_bytes_pass, large_file_passes_in_little_memory, slow_reader_holds_up_who_sends,
        both_directions_at_once, nobody_reads_the_output, disk_is_full, standard_files_are_closed,
        flags_of_shared_files_are_left_alone, message_too_large, command_gets_a_socket_that_blocks,
        colour_on_terminals_only, progress_on_terminals_only, hostile_text_does_not_reach_the_terminal)
