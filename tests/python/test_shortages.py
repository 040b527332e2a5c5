# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Datagrams, handles, clients and peers, while calls of the system fail and handlers throw.

Each call fails in each way that is short of something, or is interrupted. Whoever asked is told of an
error, or what was asked for goes on: nothing comes twice or out of turn, nothing is missing that
nobody was told of, and as soon as there is enough again all is as it was.
"""

import errno
import os
import socket

import tap
from faults import CALLS, Throwing, UsockFaults
from fixture import GLib, Usock, wait_for

N = 12


def again(function, *args):
    """Without the fault, if it fails with it."""
    try:
        return function(*args)
    except GLib.Error:
        UsockFaults.clear()
        return function(*args)


class ShortageCase(Throwing):
    def watch(self, emitter, *signals):
        """All of these throw."""
        counts = dict.fromkeys(signals, 0)

        def told(*args):
            counts[args[-1]] += 1
            self.throw(args[-1])
        for signal in signals:
            emitter.connect(signal, told, signal)
        return counts

    def assert_in_turn(self, some, everything):
        """Each once, and none before its time."""
        left = iter(everything)
        self.assertTrue(all(any(item == other for other in left) for item in some),
                        f'{some} of {everything}')


class TestDgram(ShortageCase):
    def receiver(self, path):
        receiver = self.keep(Usock.Dgram(max_fds=1))
        got = []

        def hear(_receiver, data, _sender):
            got.append(bytes(data))
            if len(got) % 3 == 0:
                self.throw('datagram')
        receiver.connect('datagram', hear)
        told = self.watch(receiver, 'listening', 'error', 'close')
        again(receiver.bind, path)
        return receiver, got, told

    def send_some(self, send, *args):
        """What could be sent."""
        sent = []
        for i in range(N):
            try:
                send(b'%d' % i, *args, fds=[2] if i % 5 == 1 else [])
                sent.append(b'%d' % i)
            except GLib.Error:
                pass
        return sent

    def check(self, fault):
        path = f'{self.directory}/{"-".join(map(str, fault))}'
        UsockFaults.add(*fault)
        receiver, got, told = self.receiver(path)
        sender = self.keep(Usock.Dgram())
        failed = self.watch(sender, 'send-failed', 'error', 'close')
        sent = self.send_some(sender.send_to, path)
        wait_for(lambda: len(got) + failed['send-failed'] >= len(sent) or told['close'])
        UsockFaults.clear()
        self.assert_in_turn(got, sent)
        self.assertEqual(failed['close'], 0)
        self.assertEqual(told['error'], told['close'])
        if told['close']:
            # Only who can not receive has nothing more to do.
            self.assertEqual(fault[0], 'receive')
            receiver, got, told = self.receiver(path)
        else:
            self.assertEqual(len(got) + failed['send-failed'], len(sent))
        if fault[1] == errno.EINTR:
            self.assertEqual(got, [b'%d' % i for i in range(N)])
        sender.send_to(b'last', path)
        wait_for(lambda: got[-1:] == [b'last'])

    def check_pair(self, fault):
        UsockFaults.add(*fault)
        one, other = [self.keep(end) for end in again(Usock.Dgram.pair)]
        other.set_max_fds(1)
        got = []
        other.connect('data', lambda _other, data: got.append(bytes(data)))
        failed = self.watch(one, 'send-failed', 'error', 'close')
        told = self.watch(other, 'error', 'close')
        sent = self.send_some(one.send)
        wait_for(lambda: len(got) + failed['send-failed'] >= len(sent) or told['close'])
        UsockFaults.clear()
        self.assert_in_turn(got, sent)
        self.assertEqual(told['error'], told['close'])
        if told['close']:
            self.assertEqual(fault[0], 'receive')
        else:
            one.send(b'last')
            wait_for(lambda: got[-1:] == [b'last'])
            self.assertEqual(failed['close'], 0)


class TestHandle(ShortageCase):
    def make(self):
        return self.keep(again(Usock.Handle.new_socket, Usock.Family.UNIX, Usock.SockType.SEQPACKET, 0))

    def connect(self, path):
        """Both ends of a connection. One that can not be accepted may be gone."""
        server, client = self.make(), self.make()
        again(server.bind, path)
        again(server.listen)
        again(client.connect_to_path, path, 1000)
        self.assertEqual(again(client.get_peer_credentials).get_unix_pid(), os.getpid())
        try:
            return client, self.keep(server.accept(1000)[0])
        except GLib.Error:
            UsockFaults.clear()
            return self.connect(f'{path}-again')

    def check(self, fault):
        UsockFaults.add(*fault)
        client, accepted = self.connect(f'{self.directory}/{"-".join(map(str, fault))}')
        told = self.watch(client, 'error', 'close')
        for i in range(N):
            self.assertEqual(again(client.send, b'%d' % i), len(b'%d' % i))
            self.assertEqual(bytes(again(accepted.receive, 100)), b'%d' % i)
        UsockFaults.clear()
        client.close()
        wait_for(lambda: told['close'])
        self.assertIsNone(accepted.receive(100))
        self.assertEqual(told['error'], 0)


class PlainServer:
    """Has nothing in hand when it hangs up but what the kernel has."""

    def __init__(self, path, each):
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listening.bind(path)
        self.listening.listen()
        self.listening.setblocking(False)
        self.each, self.connection, self.got = each, None, []

    def take(self):
        """As many as there are, and every so often hangs up."""
        try:
            if not self.connection:
                self.connection, _ = self.listening.accept()
                self.connection.setblocking(False)
            while True:
                data = self.connection.recv(100)
                if data:
                    self.got.append(data)
                if not data or len(self.got) % self.each == 0:
                    self.hang_up()
                    return
        except BlockingIOError:
            pass

    def hang_up(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def close(self):
        self.hang_up()
        self.listening.close()


class TestClient(ShortageCase):
    def client(self):
        """A client, and what comes back of what is sent."""
        client = Usock.Client(min_delay=1, max_delay=4)
        back = {'unsent': [], 'uncertain': []}

        def comes_back(*args):
            back[args[-1]].append(args[1].data)
            self.throw(args[-1])
        for signal in back:
            client.connect(signal, comes_back, signal)
        self.watch(client, 'connected', 'disconnected', 'waiting')
        return client, back['unsent'], back['uncertain']

    def talk(self, client, server, unsent, uncertain):
        messages = [b'%d' % i for i in range(3 * N)]
        for data in messages:
            client.send(data)
        wait_for(lambda: server.take() or len({*server.got, *unsent, *uncertain}) == len(messages))
        UsockFaults.clear()
        self.assert_in_turn(server.got, messages)
        self.assertFalse(set(server.got) & set(unsent))
        client.send(b'last')
        wait_for(lambda: server.take() or b'last' in server.got[-1:] + uncertain[-1:])

    def check(self, fault):
        server = self.keep(PlainServer(f'{self.directory}/{"-".join(map(str, fault))}', 7))
        client, unsent, uncertain = self.client()
        tick = GLib.timeout_add(1, lambda: True)
        UsockFaults.add(*fault)
        try:
            again(client.start, server.listening.getsockname())
            self.talk(client, server, unsent, uncertain)
        finally:
            client.stop()
            GLib.source_remove(tick)


class TestPeer(ShortageCase):
    def call_some(self, client):
        async def ask(i):
            try:
                return await client.call('Echo', i, timeout=10)
            except GLib.Error as error:
                return error

        async def main():
            calls = [Usock.spawn(ask(i)) for i in range(N)]
            return [await call for call in calls]
        return Usock.run(main())

    def peers(self, kind):
        ends = [self.keep(end) for end in again(kind.pair)]
        told = [self.watch(end, 'error', 'close') for end in ends]
        client, server = [Usock.Peer(end) for end in ends]
        server.handle('Echo', self.answer)
        self.watch(server, 'posted')
        return client, server, told

    def answer(self, body):
        if body % 5 == 4:
            raise ValueError('not that one')
        return body

    def check(self, kind, fault):
        UsockFaults.add(*fault)
        client, _server, told = self.peers(kind)
        try:
            client.post('Hello', 'x' * 300000)
        except GLib.Error:
            pass
        answers = self.call_some(client)
        UsockFaults.clear()
        for i, answer in enumerate(answers):
            if isinstance(answer, GLib.Error):
                broken = any(each['close'] for each in told)
                self.assertTrue(i % 5 == 4 or broken or fault[1] != errno.EINTR, str(answer))
            else:
                self.assertEqual(answer, i)
        if any(each['close'] for each in told):
            client, _server, told = self.peers(kind)
        self.assertEqual(self.call_some(client)[:4], [0, 1, 2, 3])
        self.assertEqual([each['error'] for each in told], [0, 0])


def add(case, name, check, calls):
    for call in calls:
        setattr(case, f'test_{name}_{call}',
                lambda self, call=call: self.check_all(lambda fault: check(self, fault), call))


add(TestDgram, 'dgram', TestDgram.check, CALLS)
add(TestDgram, 'pair', TestDgram.check_pair, CALLS)
add(TestHandle, 'handle', TestHandle.check, CALLS)
add(TestClient, 'client', TestClient.check, CALLS)
for each in (Usock.Seqpacket, Usock.Stream):
    add(TestPeer, each.__name__.lower(), lambda self, fault, kind=each: self.check(kind, fault), CALLS)

tap.main()
