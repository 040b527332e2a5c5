# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Examples in each language: with each other, systemd-notify and logger."""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys

from interop import DEADLINE, expect_success, need, run, start, wait_for_listener, wait_for_receiver

NOTIFY = need('systemd-notify')
LOGGER = need('logger')
BUILD = sys.argv[1]
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'examples')
LANGUAGES = ('C', 'GJS', 'Python')


def example(language, name):
    return {
        'C': [os.path.join(BUILD, name)],
        'GJS': ['gjs', '-m', os.path.join(SOURCE, name + '.js')],
        'Python': [sys.executable, os.path.join(SOURCE, name + '.py')],
    }[language]


def line_of(process):
    return process.stdout.readline().decode().rstrip('\n')


def receivers(name, path):
    for language in LANGUAGES:
        with start(*example(language, name), path, stdout=subprocess.PIPE) as process:
            wait_for_receiver(path)
            yield process
            process.send_signal(signal.SIGTERM)


def notify_receiver(path):
    for receiver in receivers('notify-receiver', path):
        with start(NOTIFY, '--status=at work', env=dict(os.environ, NOTIFY_SOCKET=path)) as sender:
            expect_success(sender)
            # systemd-notify speaks for the process that started it.
            for text in ('STATUS=at work', 'BARRIER=1'):
                pid, _, state = line_of(receiver).partition(': ')
                assert pid in (str(sender.pid), str(os.getpid())) and state == text, (pid, state)


def syslog_receiver(path):
    for receiver in receivers('syslog-receiver', path):
        with start(LOGGER, '--socket', path, '--priority', 'daemon.warning', 'grüße') as sender:
            expect_success(sender)
        line = line_of(receiver)
        assert line.startswith('facility 3, severity 4: ') and line.endswith(': grüße'), line


def request_and_reply(path):
    questions = ['hello', 'grüße']
    for _ in receivers('dgram-server', path):
        for language in LANGUAGES:
            with start(*example(language, 'dgram-client'), path, *questions,
                       stdout=subprocess.PIPE) as client:
                answers, _ = client.communicate(timeout=DEADLINE)
                expect_success(client)
            assert answers.decode().split() == [text.upper() for text in questions], answers


def nobody_answers(path):
    for language in LANGUAGES:
        with start(*example(language, 'dgram-client'), path, 'hello',
                   stderr=subprocess.PIPE) as client:
            _, problem = client.communicate(timeout=DEADLINE)
            assert client.returncode != 0 and path in problem.decode(), problem


def service_of_a_name(path):
    directory, name = os.path.split(path)
    environment = dict(os.environ, XDG_RUNTIME_DIR=directory)
    for language in LANGUAGES:
        with start(*example(language, 'name-service'), name, env=environment):
            wait_for_listener(path)
            for other in LANGUAGES:
                with start(*example(other, 'name-service'), name, 'grüße', stdout=subprocess.PIPE,
                           env=environment) as client:
                    answer, _ = client.communicate(timeout=DEADLINE)
                    expect_success(client)
                assert answer.decode() == 'GRÜSSE\n', answer
        # The next one takes over what the one that was killed has left.
        assert os.path.exists(path)


def files_opened_by_a_worker(path):
    directory = path + '.d'
    os.mkdir(directory)
    for name in ('one', 'two'):
        with open(os.path.join(directory, name), 'w', encoding='utf-8') as file:
            file.write(f'content of {name}\n')
    for language in LANGUAGES:
        with start(*example(language, 'open-server'), path, directory) as worker:
            wait_for_listener(path)
            for other in LANGUAGES:
                with start(*example(other, 'open-client'), path, 'one', 'two',
                           stdout=subprocess.PIPE) as client:
                    told, _ = client.communicate(timeout=DEADLINE)
                    expect_success(client)
                assert told.decode() == 'content of one\ncontent of two\n', (language, other, told)
                for name in ('../one', 'three'):
                    with start(*example(other, 'open-client'), path, name,
                               stderr=subprocess.PIPE) as client:
                        problem = client.communicate(timeout=DEADLINE)[1].decode()
                        assert client.returncode != 0, (language, other, name)
                    assert ('only files' if name[0] == '.' else 'three') in problem, problem
            worker.send_signal(signal.SIGTERM)
    for name in ('one', 'two'):
        os.unlink(os.path.join(directory, name))
    os.rmdir(directory)


def shell(path):
    directory, name = os.path.split(path)
    environment = dict(os.environ, XDG_RUNTIME_DIR=directory)
    # It is there before its service is.
    with start(*example('GJS', 'shell-client'), name, 'tea', 'eggs', stdout=subprocess.PIPE,
               env=environment) as client, \
            start(*example('Python', 'shell-service'), name, env=environment) as service:
        told, _ = client.communicate(timeout=DEADLINE)
        expect_success(client)
        assert told.decode().splitlines() == [
            'tea: 0 s', 'tea: 1 s', 'tea is ready', 'eggs: 0 s', 'eggs: 1 s', 'eggs is ready'], told
        service.send_signal(signal.SIGTERM)


def steady(path):
    for language in LANGUAGES:
        with start(*example(language, 'steady-client'), path, 'grüße',
                   stdout=subprocess.PIPE) as client:
            for _ in range(2):
                with start(*example('Python', 'echo-server'), path) as server:
                    assert line_of(client) == 'grüße', language
                    server.kill()
            client.kill()


def files_opened_by_a_child(path):
    directory = path + '.d'
    os.mkdir(directory)
    with open(os.path.join(directory, 'one'), 'w', encoding='utf-8') as file:
        file.write('content of one\n')
    for language in LANGUAGES:
        for other in LANGUAGES:
            child = [*example(other, 'open-child'), directory]
            with start(*example(language, 'open-parent'), 'one', *child,
                       stdout=subprocess.PIPE) as parent:
                told, _ = parent.communicate(timeout=DEADLINE)
                expect_success(parent)
            assert told.decode() == 'content of one\n', (language, other, told)
    os.unlink(os.path.join(directory, 'one'))
    os.rmdir(directory)


def filtered(_path):
    texts = ['!first', 'noise', '!', '', '!grüße']
    for language in LANGUAGES:
        with start(*example(language, 'filter'), '!', *texts, stdout=subprocess.PIPE) as process:
            passed, _ = process.communicate(timeout=DEADLINE)
            expect_success(process)
        assert passed.decode().splitlines() == ['!first', '!', '!grüße'], passed


def echo_by_tcp(_path):
    questions = ['hello', '', 'grüße 🧦']
    for server_language in LANGUAGES:
        with start(*example(server_language, 'tcp-echo-server'), 'localhost',
                   stdout=subprocess.PIPE) as server:
            port = line_of(server).rpartition(':')[2]
            for language in LANGUAGES:
                with start(*example(language, 'tcp-echo-client'), 'localhost', port, *questions,
                           stdout=subprocess.PIPE) as client:
                    answers, _ = client.communicate(timeout=DEADLINE)
                    expect_success(client)
                assert answers.decode().splitlines() == questions, answers
            server.kill()
            server.wait()
        for language in LANGUAGES:
            with start(*example(language, 'tcp-echo-client'), 'localhost', port, 'hello',
                       stderr=subprocess.PIPE) as client:
                _, problem = client.communicate(timeout=DEADLINE)
                assert client.returncode != 0, client.args
                assert f'localhost:{port}' in problem.decode(), problem


def timestamps(_path):
    for language in ('GJS', 'Python'):
        with start(*example(language, 'timestamps'), 'one', 'grüße',
                   stdout=subprocess.PIPE) as process:
            told, _ = process.communicate(timeout=DEADLINE)
            expect_success(process)
        for line, text in zip(told.decode().splitlines(), ('one', 'grüße'), strict=True):
            name, _, age = line.partition(': ')
            assert name == text and 10 <= float(age.removesuffix(' ms')) < 10000, line


def make_network():
    """From here on this process has a network of its own, whose loopback interface is up."""
    clone_newnet, siocsifflags, iff_up = 0x40000000, 0x8914, 1
    if ctypes.CDLL(None, use_errno=True).unshare(clone_newnet) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, siocsifflags, struct.pack('16sh14x', b'lo', iff_up))
    return True


def capture(_path):
    if not make_network():
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        receiver.bind(('127.0.0.1', 0))
        sender.bind(('127.0.0.1', 0))
        ports = sender.getsockname()[1], receiver.getsockname()[1]
        for language in ('GJS', 'Python'):
            with start(*example(language, 'capture'), '2', stdout=subprocess.PIPE) as process:
                assert line_of(process) == 'capturing'
                for length in (0, 7):
                    sender.sendto(bytes(length), receiver.getsockname())
                    expected = '127.0.0.1:{} > 127.0.0.1:{}, {} bytes'.format(*ports, length)
                    line = line_of(process)
                    assert line == expected, line
                expect_success(process)


def stream_echo(path):
    questions = ['hello', '', 'grüße', 'x' * 10000]
    for server in LANGUAGES:
        with start(*example(server, 'stream-echo-server'), path) as process:
            wait_for_listener(path)
            for language in LANGUAGES:
                with start(*example(language, 'stream-echo-client'), path, *questions,
                           stdout=subprocess.PIPE) as client:
                    answers, _ = client.communicate(timeout=DEADLINE)
                    expect_success(client)
                assert answers.decode().splitlines() == questions, (server, language, answers)
            process.send_signal(signal.SIGTERM)


def pass_listener(path):
    for language in LANGUAGES:
        for child in LANGUAGES:
            with start(*example(language, 'pass-listener-parent'), path,
                       *example(child, 'pass-listener-child')) as parent:
                wait_for_listener(path)
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(path)
                    greeting = client.makefile().read()
                expect_success(parent)
            pid = greeting.removeprefix('process ').removesuffix(' greets you\n')
            assert pid.isdecimal() and int(pid) != parent.pid, (language, child, greeting)
            assert not os.path.exists(path), (language, child)


run(stream_echo, pass_listener, notify_receiver, syslog_receiver, request_and_reply,
    nobody_answers, service_of_a_name, files_opened_by_a_worker,
    files_opened_by_a_child, shell, steady, filtered, echo_by_tcp, timestamps, capture)
