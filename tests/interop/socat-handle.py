# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Immediate calls talk with socat, over each kind of socket that both know."""

import os
import signal
import socket

import gi

from interop import expect_success, need, run, start, wait_for_listener, wait_for_receiver

gi.require_version('Usock', '1')
from gi.repository import Usock  # noqa: E402

SOCAT = need('socat')
MUCH = bytes(range(256)) * 4096
PATIENCE = 20000
Type = Usock.SockType


def exchange_bytes(handle):
    """Through a pipe of the other side, that holds less than we send before it comes back."""
    received = bytearray()
    for i in range(0, len(MUCH), 32768):
        assert handle.send(MUCH[i:i + 32768], timeout=PATIENCE) == 32768
        received += handle.receive(32768, Usock.MsgFlags.WAITALL, PATIENCE)
    assert received == MUCH
    handle.shutdown(Usock.Shut.WR)
    assert handle.receive(timeout=PATIENCE) is None


def connects_to_a_path(path):
    with start(SOCAT, f'UNIX-LISTEN:{path}', 'EXEC:cat') as server:
        wait_for_listener(path)
        with Usock.Handle.connected(path, timeout=PATIENCE) as handle:
            exchange_bytes(handle)
        expect_success(server)


def listens_on_a_path(path):
    with Usock.Handle.listening(path) as listener:
        with start(SOCAT, f'UNIX-CONNECT:{path}', 'EXEC:cat') as client:
            handle, _ = listener.accept(PATIENCE)
            with handle:
                exchange_bytes(handle)
            expect_success(client)


def listens_on_a_port(_path):
    with Usock.Handle.listening(Usock.address_parse('127.0.0.1:0')) as listener:
        port = listener.props.local_address.get_port()
        with start(SOCAT, f'TCP:127.0.0.1:{port}', 'EXEC:cat') as client:
            handle, address = listener.accept(PATIENCE)
            with handle:
                assert address.get_address().to_string() == '127.0.0.1'
                exchange_bytes(handle)
            expect_success(client)


def exchanges_packets(path):
    with start(SOCAT, f'UNIX-LISTEN:{path},type=5', 'EXEC:cat,socktype=5') as server:
        wait_for_listener(path)
        with Usock.Handle.connected(path, Type.SEQPACKET, PATIENCE) as handle:
            for length in (1, 4096, 8000):
                handle.send(MUCH[:length])
                assert handle.receive(timeout=PATIENCE) == MUCH[:length]
        expect_success(server)


def exchanges_datagrams(path):
    with start(SOCAT, f'UNIX-RECVFROM:{path},fork', 'EXEC:cat',
               start_new_session=True) as server:
        wait_for_receiver(path)
        with Usock.Handle(Usock.Family.UNIX, Type.DGRAM) as handle:
            handle.bind(path + '.client')
            handle.open(path)
            for length in (1, 4096):
                handle.send(MUCH[:length])
                message = handle.recvmsg(timeout=PATIENCE)
                assert (message.data, message.sender) == (MUCH[:length], path)
            os.unlink(path + '.client')
        # With those that it has made, which may stay on for a while.
        os.killpg(server.pid, signal.SIGKILL)


def exchanges_with_a_raw_descriptor(_path):
    ours, theirs = socket.socketpair()
    with theirs, start(SOCAT, '-', 'EXEC:cat', stdin=theirs, stdout=theirs) as process:
        theirs.close()
        with Usock.Handle.new_from_fd(ours.detach()) as handle:
            exchange_bytes(handle)
        expect_success(process)


run(connects_to_a_path, listens_on_a_path, listens_on_a_port, exchanges_packets,
    exchanges_datagrams, exchanges_with_a_raw_descriptor)
