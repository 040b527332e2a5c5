# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Programs that know only the protocol of calls are the other side of a usock peer."""

import os
import shutil
import socket
import struct
import subprocess

import plain_calls
from interop import expect_success, peer, run, start, wait_for_listener

HERE = os.path.dirname(os.path.abspath(__file__))


def fails(call, code, text):
    try:
        call()
    except OSError as error:
        assert (error.errno, error.strerror) == (code, 'g-io-error-quark'), error
        assert text in error.filename, error
        return
    raise AssertionError('it did not fail')


def converse(client, path):
    assert client.call('Echo', b'bytes') == b'bytes'
    assert client.call('Echo', 'tëxt'.encode(), plain_calls.TEXT) == 'tëxt'.encode()
    assert client.call('Echo', b'', plain_calls.NONE) == b''
    numbers = struct.pack('<ii', 40, 2)
    assert client.call('Add', numbers, plain_calls.VALUE, '(ii)') == struct.pack('<i', 42)
    assert client.call('CallBack', b'back') == b'back'
    large = os.urandom(3000000)
    assert client.call('Echo', large) == large
    assert client.call('Open', path.encode(), plain_calls.TEXT) == struct.pack('<i', 0)
    with open(client.fds.pop(), 'rb') as file:
        assert file.read() == b'content'
    fails(lambda: client.call('Open', b'/not/there', plain_calls.TEXT), 1, 'There is no')
    fails(lambda: client.call('Nobody'), 15, 'nobody handles it')
    fails(lambda: client.call('Add', b'no numbers'), 0, 'dropped')
    client.serial += 1
    client.send(plain_calls.CALL, client.serial, name='Never')
    client.send(plain_calls.CANCEL, client.serial)
    assert client.call('CountCancelled') == struct.pack('<I', 1)
    client.socket.close()


def with_python(path, kind, number):
    file = path + '.file'
    with open(file, 'wb') as content:
        content.write(b'content')
    with start(peer, kind, path) as process:
        wait_for_listener(path)
        converse(plain_calls.Peer(path, number), file)
        expect_success(process)
    os.unlink(file)


def python_over_packets(path):
    with_python(path, 'seqpacket', socket.SOCK_SEQPACKET)


def python_over_a_stream(path):
    with_python(path, 'stream', socket.SOCK_STREAM)


def node_over_a_stream(path):
    with start(peer, 'stream', path) as process:
        wait_for_listener(path)
        subprocess.run([shutil.which('node'), os.path.join(HERE, 'plain-calls.js'), path], check=True,
                       timeout=60)
        expect_success(process)


def a_rule_is_broken(path):
    with start(peer, 'seqpacket', path, stderr=subprocess.PIPE, text=True) as process:
        wait_for_listener(path)
        client = plain_calls.Peer(path, socket.SOCK_SEQPACKET)
        client.send(99, 1)
        assert client.socket.recv(1) == b''
        assert 'the rule “type”' in process.communicate(timeout=20)[1]
        client.socket.close()


run(python_over_packets, python_over_a_stream, a_rule_is_broken,
    *([node_over_a_stream] if shutil.which('node') else []))
