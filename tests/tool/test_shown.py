# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What monitor and receive show, to people and as JSON, and that what they pass on is the same."""

import base64
import json
import os
import re
import socket
import subprocess

from tooling import DEADLINE, background, expect, listening, output_of, receiving, run

BINARY = bytes(range(256))


def finish(process):
    output, _ = process.communicate(timeout=DEADLINE)
    expect(process.returncode, 0)
    return output.decode()


def monitored(path, server, *words):
    return listening(path, 'monitor', server, '--count=1', *words)


def text(path):
    server = path + '-server'
    with listening(server, 'listen', '--', 'cat'), monitored(path, server) as monitor:
        expect(output_of('send', '--reply', path, 'he"llo\n', '£'), 'he"llo\n\n£\n'.encode())
        shown = re.sub(r'pid \d+', 'pid N', finish(monitor))
    who = f' (pid N, uid {os.getuid()})'
    expect(shown, f'#1 client is connected{who}\n'
                  f'#1 client 7 bytes{who}: "he\\"llo\\n"\n#1 server 7 bytes{who}: "he\\"llo\\n"\n'
                  f'#1 client 2 bytes{who}: "£"\n#1 server 2 bytes{who}: "£"\n'
                  '#1 client has ended\n#1 server has ended\n#1 is closed\n')


def hexadecimal(path):
    with receiving(path, 'receive', '--hex', '--count=1') as receiver:
        output_of('send', '-d', '-f', 'whole', path, data=b'hello\0' + b'\xff' * 12)
        shown = finish(receiver)
    assert '\n  000000  68 65 6c 6c 6f 00 ff ff ff ff ff ff ff ff ff ff  hello...........\n' in shown, shown
    assert shown.endswith('\n  000010  ff ff' + '   ' * 14 + '  ..\n'), shown


def as_json(path):
    server = path + '-server'
    with listening(server, 'receive', '--fds=2'), monitored(path, server, '--json') as monitor:
        output_of('send', path, 'a"b\\\n\x01\x7f£\U0001f600')
        objects = [json.loads(line) for line in finish(monitor).splitlines()]
    expect([(each.get('from'), each['event']) for each in objects],
           [('client', 'connect'), ('client', 'message'), ('client', 'end'), ('server', 'end'),
            (None, 'close')])
    message = objects[1]
    expect(message['text'], 'a"b\\\n\x01\x7f£\U0001f600')
    expect(message['length'], 13)
    expect(message['connection'], 1)
    expect(message['credentials']['uid'], os.getuid())
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z', message['time'])


def json_of_what_is_no_text(path):
    for data in (BINARY, b'\xed\xa0\x80', b'half \xc3', b'with a \0'):
        with receiving(path, 'receive', '--json', '--count=1') as receiver:
            output_of('send', '-d', '-f', 'whole', path, data=data)
            message = json.loads(finish(receiver))
        expect(base64.b64decode(message['base64']), data)
        assert 'text' not in message


def sender_of_a_datagram(path):
    with receiving(path, 'receive', '--json', '--count=1') as receiver:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.bind(path + '-client')
            client.sendto(b'', path)
        message = json.loads(finish(receiver))
    expect((message['sender'], message['text']), (path + '-client', ''))


def descriptors_arrive(path):
    server = path + '-server'
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(server)
        listener.listen()
        listener.settimeout(DEADLINE)
        with monitored(path, server, '--json') as monitor:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.connect(path)
                channel, _ = listener.accept()
                channel.settimeout(DEADLINE)
                fds = [os.open('/dev/null', os.O_RDONLY), os.open('/', os.O_RDONLY), client.fileno(),
                       *os.pipe(), os.memfd_create('memory'), os.pidfd_open(os.getpid())]
                socket.send_fds(client, [BINARY], fds)
                data, received, *_ = socket.recv_fds(channel, 1000, 20)
                expect(data, BINARY)
                expect([os.fstat(fd).st_ino for fd in received], [os.fstat(fd).st_ino for fd in fds])
                socket.send_fds(channel, [b'back'], received[:1])
                expect(socket.recv_fds(client, 100, 5)[0], b'back')
                for fd in [*received, *fds[:2], *fds[3:]]:
                    os.close(fd)
                channel.close()
            objects = [json.loads(line) for line in finish(monitor).splitlines()]
    expect(objects[1]['descriptors'],
           ['device', 'directory', 'socket', 'pipe', 'pipe', 'memfd', 'pidfd'])
    expect((objects[2]['from'], objects[2]['descriptors']), ('server', ['device']))


def streams_half_open(path):
    server = path + '-server'
    with listening(server, 'listen', '--stream', '--', 'sort'), \
            monitored(path, server, '--stream') as monitor:
        expect(output_of('connect', '--stream', path, data=b'b\na\n'), b'a\nb\n')
        shown = finish(monitor)
    assert 'client has ended' in shown and '"a\\nb\\n"' in shown, shown


def large_transfer(path):
    server = path + '-server'
    data = os.urandom(5 << 20)
    with listening(server, 'listen', '--stream', '--', 'cat'), \
            listening(path, 'monitor', '--stream', server, '--count=1') as monitor:
        with background('connect', '--stream', path, stdin=subprocess.PIPE) as client:
            # Somebody has to look, or it waits.
            with open(path + '.shown', 'wb') as shown, \
                    subprocess.Popen(['cat'], stdin=monitor.stdout, stdout=shown):
                output, _ = client.communicate(data, timeout=DEADLINE)
            expect(len(output), len(data))
            assert output == data
        expect(monitor.wait(DEADLINE), 0)


def datagrams_and_their_answers(path):
    server = path + '-server'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as answerer:
        answerer.bind(server)
        answerer.settimeout(DEADLINE)
        with receiving(path, 'monitor', server, '--json', '--count=5') as monitor:
            clients = [background('send', '-d', '--reply', path, text) for text in ('one', 'two')]
            with clients[0] as first, clients[1] as second:
                asked = dict(answerer.recvfrom(100) for _ in range(2))
                assert asked.keys() == {b'one', b'two'} and len(set(asked.values())) == 2, asked
                for text, address in asked.items():
                    answerer.sendto(text.upper(), address)
                expect((first.stdout.read(), second.stdout.read()), (b'ONE\n', b'TWO\n'))
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
                nameless.connect(path)
                socket.send_fds(nameless, [b'three'], [nameless.fileno()])
            data, fds, _, _ = socket.recv_fds(answerer, 100, 3)
            expect((data, len(fds)), (b'three', 1))
            os.close(fds[0])
            objects = [json.loads(line) for line in finish(monitor).splitlines()]
    told = sorted((each['from'], each['text'], each['connection']) for each in objects)
    numbers = {text.lower(): number for _, text, number in told}
    expect(told, sorted([('client', text, numbers[text]) for text in ('one', 'two', 'three')]
                        + [('server', text.upper(), numbers[text]) for text in ('one', 'two')]))
    expect(sorted(numbers.values()), [1, 2, 3])


def datagrams_to_nobody(path):
    with receiving(path, 'monitor', path + '-server', '--count=1') as monitor:
        output_of('send', '-d', path, 'hello')
        assert b'"hello"' in monitor.stdout.readline()
        assert b'has failed: Could not connect' in monitor.stdout.readline()


def server_that_is_not_there(path):
    with monitored(path, path + '-server') as monitor:
        assert output_of('connect', path) == b''
        shown = finish(monitor)
    assert '#1 server has failed: Could not connect' in shown, shown


def reset_is_passed_on(path):
    server = path + '-server'
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(server)
        listener.listen()
        listener.settimeout(DEADLINE)
        with monitored(path, server, '--stream') as monitor, socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.send(b'unread')
            channel, _ = listener.accept()
            channel.recv(1)
            channel.close()
            client.settimeout(DEADLINE)
            try:
                assert client.recv(10) == b''
            except ConnectionResetError:
                pass
            shown = finish(monitor)
    assert 'server has failed' in shown and 'is closed' in shown, shown


run(text, hexadecimal, as_json, json_of_what_is_no_text, sender_of_a_datagram, descriptors_arrive,
    streams_half_open, large_transfer, datagrams_and_their_answers, datagrams_to_nobody,
    server_that_is_not_there, reset_is_passed_on)
