# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""systemd-socket-activate listens, and starts us with its socket, or with an accepted connection,
as a descriptor."""

import os
import socket
import subprocess
import sys

from interop import (DEADLINE, expect_success, need, peer, run, start, wait_for_listener,
                     wait_for_receiver)

ACTIVATE = need('systemd-socket-activate')
ACTIVATED = sys.argv[2]
N_MESSAGES = 500
LONGEST = 200000


def activate(path, *words):
    return start(ACTIVATE, '--listen', path, *words, stderr=subprocess.DEVNULL)


def converse(path, *job):
    with activate(path, '--seqpacket', '--accept', *job):
        wait_for_listener(path)
        # It goes on listening: a second client gets a second process.
        for end in ('first', 'first'):
            with start(peer, 'connect', path, 'exchange', N_MESSAGES, LONGEST, end) as client:
                expect_success(client)


def connection_comes_as_descriptor_3(path):
    converse(path, peer, 'adopt', 3, 'echo')


def connection_comes_as_standard_input(path):
    converse(path, '--inetd', peer, 'adopt', 0, 'echo')


def server_ends_first(path):
    with activate(path, '--seqpacket', '--accept', peer, 'adopt', 3, 'echo', N_MESSAGES):
        wait_for_listener(path)
        with start(peer, 'connect', path, 'exchange', N_MESSAGES, LONGEST, 'last') as client:
            expect_success(client)


def packet_connection_is_taken_by_name(path):
    converse(path, '--fdname', 'packets', ACTIVATED, 'seqpacket', 'connection', 'packets')


def packet_connection_is_taken_without_name(path):
    converse(path, ACTIVATED, 'seqpacket', 'connection', '-')


def talk_as_stream(path):
    data = os.urandom(300000)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE)
        client.connect(path)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        received = bytearray()
        while piece := client.recv(1 << 16):
            received += piece
    assert received == data, f'{len(received)} of {len(data)} bytes came back'


def stream_connection_is_taken(path):
    with activate(path, '--accept', ACTIVATED, 'stream', 'connection', '-'):
        wait_for_listener(path)
        talk_as_stream(path)
        talk_as_stream(path)


def serve(path, talk, *words):
    """The program is replaced by ours when the first client comes, who finds it there."""
    with activate(path, *words) as service:
        wait_for_listener(path)
        for _ in range(3):
            talk(path)
        expect_success(service)
    assert os.path.exists(path), 'the path of another was removed'


def talk_in_packets(path):
    with start(peer, 'connect', path, 'exchange', N_MESSAGES, LONGEST, 'first') as client:
        expect_success(client)


def packet_listener_is_taken(path):
    serve(path, talk_in_packets, '--seqpacket', ACTIVATED, 'seqpacket', 'listen', '-', 3)


def packet_listener_is_taken_by_name(path):
    serve(path, talk_in_packets, '--seqpacket', '--fdname', 'packets',
          ACTIVATED, 'seqpacket', 'listen', 'packets', 3)


def packet_listener_is_a_service(path):
    serve(path, talk_in_packets, '--seqpacket', '--fdname', 'org.example.App.socket',
          ACTIVATED, 'seqpacket', 'listen', 'name:org.example.App', 3)


def packet_listener_comes_as_standard_input(path):
    serve(path, talk_in_packets, '--seqpacket', '--inetd',
          ACTIVATED, 'seqpacket', 'listen', 'fd:0', 3)


def stream_listener_is_taken(path):
    serve(path, talk_as_stream, ACTIVATED, 'stream', 'listen', '-', 3)


def one_of_two_listeners_is_taken(path):
    other = path + '-other'
    with activate(path, '--listen', other, '--seqpacket', '--fdname', 'one:two',
                  ACTIVATED, 'seqpacket', 'listen', 'two', 1) as service:
        wait_for_listener(other)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(other)
            # The first one is still there to be taken, and so are the variables: it complains.
            assert service.wait(timeout=DEADLINE) == 3


def datagrams_are_answered(path):
    ours = path + '-ours'
    with activate(path, '--datagram', '--fdname', 'messages',
                  ACTIVATED, 'datagram', 'messages', N_MESSAGES) as service:
        wait_for_receiver(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(DEADLINE)
            client.bind(ours)
            for i in range(N_MESSAGES):
                message = os.urandom(i * 100)
                client.sendto(message, path)
                assert client.recv(1 << 20) == message, f'message {i} came back as another'
        expect_success(service)
    assert os.path.exists(path), 'the path of another was removed'


run(connection_comes_as_descriptor_3, connection_comes_as_standard_input, server_ends_first,
    packet_connection_is_taken_by_name, packet_connection_is_taken_without_name,
    stream_connection_is_taken, packet_listener_is_taken, packet_listener_is_taken_by_name,
    packet_listener_is_a_service, packet_listener_comes_as_standard_input,
    stream_listener_is_taken, one_of_two_listeners_is_taken, datagrams_are_answered)
