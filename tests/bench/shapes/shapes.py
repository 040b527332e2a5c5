# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""shapes.py JOB SHAPE FD SIZE COUNT

Does one job in one of the shapes that people write, and prints as JSON how many seconds of the
clock and of the processor it took. Whoever it talks with is at the other end of the descriptor.
"""

import asyncio
import json
import os
import socket
import sys
import time

SHAPES = {}


def shape(job, name):
    def add(function):
        SHAPES[job, name] = function
        return function
    return add


class Run:
    """What a shape is told, and the clock."""

    def __init__(self, fd, size, count):
        self.fd, self.size, self.count = fd, size, count
        self.data = b'x' * size
        self.seconds = self.cpu = 0

    def __enter__(self):
        self.seconds, self.cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_):
        self.seconds, self.cpu = time.perf_counter() - self.seconds, time.process_time() - self.cpu

    def socket(self):
        return socket.socket(fileno=self.fd)

    def adopt(self, kind):
        import gi
        gi.require_version('Usock', '1')
        from gi.repository import Usock
        return Usock, getattr(Usock, kind).new_from_fd(self.fd)


# What there is without usock

@shape('receive', 'raw')
@shape('dgram-receive', 'raw')
def receive_raw(run):
    sock = run.socket()
    with run:
        for _ in range(run.count):
            sock.recv(65536)


@shape('receive', 'asyncio')
def receive_asyncio(run):
    async def main():
        sock = run.socket()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        with run:
            for _ in range(run.count):
                await loop.sock_recv(sock, 65536)

    asyncio.run(main())


@shape('receive', 'glib')
@shape('dgram-receive', 'glib')
def receive_glib(run):
    from gi.repository import GLib
    sock = run.socket()
    sock.setblocking(False)
    loop = GLib.MainLoop()
    left = run.count

    def receive(*_):
        nonlocal left
        sock.recv(65536)
        left -= 1
        if left == 0:
            loop.quit()
        return True

    GLib.io_add_watch(sock.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN, receive)
    with run:
        loop.run()


@shape('dgram-receive', 'asyncio')
def dgram_receive_asyncio(run):
    async def main():
        sock = run.socket()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        with run:
            for _ in range(run.count):
                await loop.sock_recvfrom(sock, 65536)

    asyncio.run(main())


@shape('dgram-receive', 'asyncio-protocol')
def dgram_receive_protocol(run):
    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        class Protocol(asyncio.DatagramProtocol):
            left = run.count

            def datagram_received(self, data, addr):
                self.left -= 1
                if self.left == 0:
                    done.set_result(None)

        with run:
            transport, _ = await loop.create_datagram_endpoint(Protocol, sock=run.socket())
            await done
        transport.close()

    asyncio.run(main())


@shape('lines', 'raw')
def lines_raw(run):
    file = run.socket().makefile('r')
    with run:
        for _ in range(run.count):
            file.readline()


@shape('lines', 'asyncio')
def lines_asyncio(run):
    async def main():
        reader, _writer = await asyncio.open_unix_connection(sock=run.socket())
        with run:
            for _ in range(run.count):
                await reader.readline()

    asyncio.run(main())


@shape('send', 'raw')
@shape('dgram-send', 'raw')
def send_raw(run):
    sock = run.socket()
    with run:
        for _ in range(run.count):
            sock.send(run.data)


@shape('send', 'asyncio')
@shape('dgram-send', 'asyncio')
def send_asyncio(run):
    async def main():
        sock = run.socket()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        with run:
            for _ in range(run.count):
                await loop.sock_sendall(sock, run.data)

    asyncio.run(main())


@shape('ping', 'raw')
def ping_raw(run):
    sock = run.socket()
    with run:
        for _ in range(run.count):
            sock.send(run.data)
            sock.recv(65536)


@shape('ping', 'asyncio')
def ping_asyncio(run):
    async def main():
        sock = run.socket()
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        with run:
            for _ in range(run.count):
                await loop.sock_sendall(sock, run.data)
                await loop.sock_recv(sock, 65536)

    asyncio.run(main())


@shape('start', 'asyncio')
def start_asyncio(run):
    async def main():
        reader, writer = await asyncio.open_unix_connection(sock=run.socket())
        writer.write(run.data)
        await reader.readexactly(run.size)
        writer.close()

    with run:
        asyncio.run(main())


@shape('start', 'gio')
def start_gio(run):
    with run:
        from gi.repository import Gio
        connection = Gio.Socket.new_from_fd(run.fd).connection_factory_create_connection()
        connection.get_output_stream().write_all(run.data, None)
        connection.get_input_stream().read_bytes(run.size, None)


# In the library's signals

def receive_by_signal(kind, signal):
    def receive(run):
        Usock, channel = run.adopt(kind)
        from gi.repository import GLib
        loop = GLib.MainLoop()
        left = run.count

        def take(*_):
            nonlocal left
            left -= 1
            if left == 0:
                loop.quit()

        channel.connect(signal, take)
        with run:
            loop.run()
    return receive


for _signal in ('data', 'message'):
    SHAPES['receive', _signal] = receive_by_signal('Seqpacket', _signal)
for _signal in ('data', 'message', 'datagram'):
    SHAPES['dgram-receive', _signal] = receive_by_signal('Dgram', _signal)


# Awaited and iterated. Each is run by Usock.run(), and by asyncio.

async def iterate(run, channel):
    left = run.count
    async for message in channel:
        message.data
        left -= 1
        if left == 0:
            break


async def iterate_payloads(run, channel):
    left = run.count
    async for _data in channel.payloads():
        left -= 1
        if left == 0:
            break


async def iterate_with_sender(run, channel):
    left = run.count
    async for message in channel:
        message.data, message.sender
        left -= 1
        if left == 0:
            break


async def receive(run, channel):
    for _ in range(run.count):
        (await channel.receive()).data


async def iterate_lines(run, stream):
    left = run.count
    async for _line in stream.lines():
        left -= 1
        if left == 0:
            break


async def receive_lines(run, stream):
    for _ in range(run.count):
        await stream.receive_line()


async def send(run, channel):
    for _ in range(run.count):
        await channel.send_async(run.data)


async def ping(run, channel):
    for _ in range(run.count):
        channel.send(run.data)
        (await channel.receive()).data


def awaited(kind, body):
    def by_run(run):
        Usock, channel = run.adopt(kind)

        async def main():
            with run:
                await body(run, channel)

        Usock.run(main())

    def by_asyncio(run):
        _Usock, channel = run.adopt(kind)

        async def main():
            with run:
                await body(run, channel)

        asyncio.run(main())

    return by_run, by_asyncio


for _job, _name, _kind, _body in (
        ('receive', 'async-for', 'Seqpacket', iterate),
        ('receive', 'payloads()', 'Seqpacket', iterate_payloads),
        ('receive', 'receive()', 'Seqpacket', receive),
        ('dgram-receive', 'async-for', 'Dgram', iterate),
        ('dgram-receive', 'async-for-sender', 'Dgram', iterate_with_sender),
        ('lines', 'lines()', 'Stream', iterate_lines),
        ('lines', 'receive_line()', 'Stream', receive_lines),
        ('send', 'send_async', 'Seqpacket', send),
        ('dgram-send', 'send_async', 'Dgram', send),
        ('ping', 'receive()', 'Seqpacket', ping)):
    SHAPES[_job, _name], SHAPES[_job, _name + '/asyncio'] = awaited(_kind, _body)


@shape('receive', 'for')
def receive_for(run):
    _Usock, channel = run.adopt('Seqpacket')
    left = run.count
    with run:
        for message in channel:
            message.data
            left -= 1
            if left == 0:
                break


def send_at_once(kind):
    def send_each(run):
        # The other end takes as long; what has to wait is counted as well.
        _Usock, channel = run.adopt(kind)
        with run:
            for _ in range(run.count):
                channel.send(run.data)
            with channel:
                pass
    return send_each


SHAPES['send', 'send()'] = send_at_once('Seqpacket')
SHAPES['dgram-send', 'send()'] = send_at_once('Dgram')


@shape('start', 'usock')
def start_usock(run):
    with run:
        Usock, stream = run.adopt('Stream')

        async def main():
            stream.send(run.data)
            await stream.receive_exactly(run.size)

        Usock.run(main())


def main():
    job, name, *numbers = sys.argv[1:]
    run = Run(*map(int, numbers))
    SHAPES[job, name](run)
    json.dump({'seconds': run.seconds, 'cpu': run.cpu, 'rss': peak_rss()}, sys.stdout)
    print(flush=True)
    # What is being torn down is no part of the job.
    os._exit(0)


def peak_rss():
    with open('/proc/self/status') as status:
        for line in status:
            if line.startswith('VmHWM:'):
                return int(line.split()[1])
    return 0


if __name__ == '__main__':
    main()
