# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Every signal and property that a script meets, on both ends of a connection."""

import os
import random
import struct
import sys

import fixture
import tap
from fixture import Gio, GLib, Log, Usock, wait_for

Code = Gio.IOErrorEnum


class TestConversation(fixture.Case):
    def test_both_roles(self):
        server_log = Log(server := Usock.Server(), 'listening', 'connection', 'error', 'close')
        served = []

        def echo(channel, data):
            channel.send(data)

        def accepted(_server, channel):
            served.append(Log(channel, 'connect', 'end', 'error', 'close'))
            channel.connect('data', echo)

        server.connect('connection', accepted)
        server.listen(self.path)
        self.assertTrue(server.props.active)
        self.assertEqual(server.props.path, self.path)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        server_log.wait('listening')

        client = Usock.Seqpacket()
        log = Log(client)
        client.connect_to_path(self.path)
        self.assertEqual(log, [])
        client.send('hello')
        log.wait('data')
        self.assertEqual(server.get_n_connections(), 1)
        client.end()
        log.wait('close')
        wait_for(lambda: served and 'close' in served[0].names())
        self.assertEqual(log, [('connect',), ('data', b'hello'), ('end',), ('close',)])
        self.assertEqual(served[0].names(), ['end', 'close'])
        self.assertEqual((client.get_messages_read(), client.get_bytes_written()), (1, 5))

        server.close()
        server_log.wait('close')
        self.assertEqual(server_log.names(), ['listening', 'connection', 'close'])
        self.assertFalse(os.path.exists(self.path))

    def test_the_server_ends_first(self):
        client, served = self.accept_one()
        log, served_log = Log(client), Log(served)
        served.send(b'bye')
        served.end()
        log.wait('close')
        served_log.wait('close')
        self.assertEqual(log.names(), ['data', 'end', 'close'])
        self.assertEqual(served_log.names(), ['end', 'close'])

    def test_no_public_call_emits(self):
        first, second = self.pair()
        log = Log(first)
        first.send(b'x')
        second.send(b'x')
        first.end()
        first.close()
        self.assertEqual(log, [])
        log.wait('close')
        self.assertEqual(log, [('close',)])

    def test_relative_path(self):
        here = os.getcwd()
        os.chdir(self.directory)
        try:
            server = self.keep(Usock.Server())
            server.listen('socket')
        finally:
            os.chdir(here)
        self.assertTrue(os.path.exists(self.path))
        with Usock.Seqpacket() as client:
            client.connect_to_path(self.path)
        server.close()
        self.assertFalse(os.path.exists(self.path))

    def test_kinds_of_path(self):
        class PathLike:
            def __init__(self, path):
                self.path = path

            def __fspath__(self):
                return self.path

        odd = os.path.join(os.fsencode(self.directory), b'\xff\xfe odd')
        for path in (PathLike(self.path), os.fsencode(self.path), odd, os.fsdecode(odd)):
            with self.subTest(path=path):
                server = self.keep(Usock.Server())
                server.listen(path)
                self.assertTrue(os.path.exists(os.fspath(path)))
                with Usock.Seqpacket() as client:
                    client.connect_to_path(path)
                server.close()

    def test_abstract_name(self):
        name = f'@usock-test-{os.getpid()}\\x00\\\\tail'
        accepted = []
        server = self.keep(Usock.Server())
        server.connect('connection', lambda _s, channel: accepted.append(channel))
        server.listen(name)
        client = self.keep(Usock.Seqpacket())
        client.connect_to_path(name)
        wait_for(lambda: accepted)
        self.keep(accepted[0])
        self.assertEqual(Usock.address_to_string(client.get_remote_address()), name)
        self.assertEqual(Usock.address_to_string(accepted[0].get_local_address()), name)
        with open('/proc/net/unix', encoding='utf-8', errors='replace') as table:
            self.assertIn(f'@usock-test-{os.getpid()}@\\tail', table.read())

    def test_address(self):
        address = Gio.UnixSocketAddress.new(self.path)
        server = self.keep(Usock.Server())
        server.listen(address)
        client = self.keep(Usock.Seqpacket())
        client.connect_to_address(address)
        self.assertEqual(client.props.remote_address.get_path(), self.path)
        self.assertEqual(client.props.state, Usock.State.OPEN)
        self.assertEqual(client.props.family, Gio.SocketFamily.UNIX)
        self.assertEqual(client.props.socket_type, Gio.SocketType.SEQPACKET)
        self.assertGreaterEqual(client.props.fd, 0)


class TestCredentials(fixture.Case):
    def test_of_the_peer(self):
        for channel in self.accept_one():
            credentials = channel.get_peer_credentials()
            self.assertEqual(credentials.get_unix_user(), os.getuid())
            self.assertEqual(credentials.get_unix_pid(), os.getpid())

    def test_of_a_message(self):
        client, served = self.accept_one(pass_credentials=True)
        client.send(b'who')
        message = Usock.run(served.receive())
        self.assertEqual(message.get_credentials().get_unix_pid(), os.getpid())
        self.assertEqual(message.get_credentials().get_unix_user(), os.getuid())

    def test_not_asked_for(self):
        client, served = self.accept_one()
        client.send(b'who')
        self.assertIsNone(Usock.run(served.receive()).get_credentials())


class TestOrder(fixture.Case):
    def test_empty_messages_are_told_from_the_end(self):
        chance = random.Random(7)
        lengths = [0 if i % 3 == 0 else chance.randrange(1, 3000) for i in range(10_000)]
        lengths[-2:] = [0, 0]
        client, served = self.accept_one()
        got = Log(served, 'data', 'end', 'error', 'close')
        sent = iter(lengths)

        def send_more(*_):
            for length in sent:
                try:
                    client.send(struct.pack('I', length)[:length].ljust(length, b'.'))
                except GLib.Error as error:
                    self.is_error(error, Code.WOULD_BLOCK)
                    raise
            client.end()

        send_more()
        got.wait('close')
        self.assertEqual(got.names(), ['data'] * len(lengths) + ['end', 'close'])
        self.assertEqual([len(data) for _, data in got[:-2]], lengths)
        self.assertTrue(all(data[:4] == struct.pack('I', len(data))[:len(data)]
                            for _, data in got[:-2]))

    def test_data_comes_before_a_reset(self):
        first, second = self.pair()
        log = Log(second)
        second.send(b'never read')
        for i in range(3):
            first.send(b'%d' % i)
        first.close()
        log.wait('close')
        self.assertEqual(log.names(), ['data', 'data', 'data', 'error', 'close'])
        self.is_error(log[3][1], Code.CONNECTION_CLOSED)
        self.assertTrue(second.props.had_error)
        self.assertNotEqual(second.get_error_number(), 0)
        self.assertTrue(second.get_error_call())

    def test_a_late_listener_gets_it_all(self):
        first, second = self.pair()
        for i in range(100):
            first.send(b'%d' % i)
        first.end()
        for _ in range(10):
            GLib.MainContext.default().iteration(False)
        log = Log(second, 'data', 'end', 'close').wait('close')
        self.assertEqual(log, [('data', b'%d' % i) for i in range(100)] + [('end',), ('close',)])

    def test_message_then_data(self):
        first, second = self.pair()
        log = Log(second, 'data', 'message')
        first.send(b'x')
        log.wait('data')
        self.assertEqual([log[0][0], log[1]], ['message', ('data', b'x')])
        self.assertEqual(log[0][1].data, b'x')

    def test_receive_goes_first(self):
        first, second = self.pair()
        log = Log(second, 'data')
        task = Usock.spawn(self.receive_one(second))
        first.send(b'awaited')
        first.send(b'signalled')
        log.wait('data')
        self.assertEqual(task.result().data, b'awaited')
        self.assertEqual(log, [('data', b'signalled')])

    async def receive_one(self, channel):
        return await channel.receive()

    def test_kept_messages_stay_what_they_are(self):
        first, second = self.pair()
        kept = []
        second.connect('message', lambda _c, message: kept.append(message))
        for i in range(500):
            first.send(b'%d' % i)
        wait_for(lambda: len(kept) == 500)
        self.assertEqual([message.data for message in kept], [b'%d' % i for i in range(500)])


class TestFlow(fixture.Case):
    def test_pause_and_resume(self):
        first, second = self.pair()
        log = Log(second, 'data')

        def stop(channel, data):
            if data == b'2':
                channel.pause()

        second.connect('data', stop)
        for i in range(5):
            first.send(b'%d' % i)
        log.wait('data', 3)
        self.assertTrue(second.props.paused)
        for _ in range(10):
            GLib.MainContext.default().iteration(False)
        self.assertEqual(len(log), 3)
        second.resume()
        self.assertFalse(second.props.paused)
        log.wait('data', 5)
        self.assertEqual([data for _, data in log], [b'0', b'1', b'2', b'3', b'4'])

    def test_full_then_drained(self):
        first, second = self.pair()
        first.set_queue_limit(64 * 1024)
        log = Log(first, 'drain')
        sent = 0
        with self.raises(Code.WOULD_BLOCK):
            while True:
                first.send(struct.pack('I', sent) + bytes(1000))
                sent += 1
        self.assertGreater(first.props.queued_bytes, 0)
        self.assertLessEqual(first.props.queued_bytes, 64 * 1024)
        got = []
        second.connect('data', lambda _c, data: got.append(struct.unpack('I', data[:4])[0]))
        log.wait('drain')
        self.assertEqual(first.props.queued_bytes, 0)
        wait_for(lambda: len(got) == sent)
        self.assertEqual(got, list(range(sent)))
        self.assertEqual(log, [('drain',)])

    def test_half_open(self):
        first, second = self.pair()
        second.set_allow_half_open(True)
        log = Log(second)
        answers = Log(first)
        first.end()
        log.wait('end')
        self.assertEqual(second.props.state, Usock.State.WRITE_ONLY)
        for i in range(1000):
            second.send(b'%d' % i)
        second.end()
        answers.wait('close')
        log.wait('close')
        self.assertEqual(answers, [('data', b'%d' % i) for i in range(1000)]
                         + [('end',), ('close',)])
        self.assertEqual(log.names(), ['end', 'close'])

    def test_idle_timeout(self):
        first, _second = self.pair()
        first.set_idle_timeout(30)
        log = Log(first, 'timeout', 'close')
        log.wait('timeout')
        self.assertEqual(log, [('timeout',)])
        self.assertEqual(first.props.state, Usock.State.OPEN)

    def test_truncated(self):
        first, second = self.pair()
        second.set_read_buffer_size(100)
        first.send(bytes(1000))
        message = Usock.run(second.receive())
        self.assertTrue(message.get_flags() & Usock.MessageFlags.TRUNCATED)
        self.assertEqual((len(message), message.get_full_length()), (100, 1000))

    def test_a_cut_message_is_never_taken_for_whole(self):
        first, second = self.pair()
        second.set_read_buffer_size(100)
        log = Log(second)
        first.send(bytes(1000))
        log.wait('close')
        self.assertEqual(log.names(), ['error', 'close'])
        self.is_error(log[0][1], Code.MESSAGE_TOO_LARGE, '1000')

    def test_destroy(self):
        first, second = self.pair()
        log, other = Log(first), Log(second)
        first.destroy(ValueError('the reason'))
        log.wait('close')
        other.wait('close')
        self.assertEqual(log.names(), ['error', 'close'])
        self.is_error(log[0][1], Code.FAILED, 'the reason')
        first, second = self.pair()
        log = Log(first)
        first.destroy()
        log.wait('close')
        self.assertEqual(log.names(), ['close'])

    def test_an_exception_in_a_handler_stops_nothing(self):
        seen = []
        hook, sys.excepthook = sys.excepthook, lambda *args: seen.append(args[1])
        try:
            first, second = self.pair()

            def fail(_channel, data):
                raise KeyError(data)

            second.connect('data', fail)
            log = Log(second)
            first.send(b'one')
            first.send(b'two')
            first.end()
            log.wait('close')
        finally:
            sys.excepthook = hook
        self.assertEqual(log.names(), ['data', 'data', 'end', 'close'])
        self.assertEqual([error.args for error in seen], [(b'one',), (b'two',)])
        # Python keeps the last traceback, and with it the channel.
        sys.last_type = sys.last_value = sys.last_traceback = sys.last_exc = None

    def test_handlers_that_close(self):
        for victim in ('self', 'neighbour'):
            with self.subTest(victim=victim):
                pairs = [self.pair() for _ in range(2)]
                logs = [Log(second) for _, second in pairs]
                for i, (first, second) in enumerate(pairs):
                    target = pairs[i if victim == 'self' else 1 - i][1]
                    second.connect('data', lambda _c, _d, target=target: target.close())
                    first.send(b'x')
                    first.send(b'y')
                wait_for(lambda: any('close' in log.names() for log in logs))
                for first, second in pairs:
                    second.close()
                for log in logs:
                    log.wait('close')
                    self.assertEqual(log.names().count('close'), 1)
                    self.assertLessEqual(log.names().count('data'), 1 if victim == 'self' else 2)

    def test_a_nested_loop_in_a_handler(self):
        first, second = self.pair()
        order = []

        def nested(_channel, data):
            order.append(data)
            if data == b'0':
                wait_for(lambda: len(order) == 3)

        second.connect('data', nested)
        for i in range(3):
            first.send(b'%d' % i)
        wait_for(lambda: len(order) == 3)
        self.assertEqual(order, [b'0', b'1', b'2'])


class TestServer(fixture.Case):
    def test_a_second_listen_does_no_harm(self):
        server = self.serve()
        with self.assertRaises(GLib.Error):
            server.listen(self.path + '2')
        self.assertTrue(server.props.active)
        with self.raises(Code.ADDRESS_IN_USE, self.path):
            Usock.Server().listen(self.path)
        with Usock.Seqpacket() as client:
            client.connect_to_path(self.path)

    def test_properties_go_to_its_channels(self):
        _client, served = self.accept_one(max_fds=7, allow_half_open=True, pass_credentials=True,
                                          read_buffer_size=1000, queue_limit=12345)
        self.assertEqual((served.props.max_fds, served.props.allow_half_open,
                          served.props.pass_credentials, served.props.read_buffer_size,
                          served.props.queue_limit), (7, True, True, 1000, 12345))

    def test_many_clients(self):
        counts = {}

        def accepted(channel):
            counts[channel] = 0

            def count(channel, _data):
                counts[channel] += 1

            channel.connect('data', count)

        server = self.serve(accepted)
        clients = []
        for i in range(200):
            client = self.keep(Usock.Seqpacket())
            client.connect_to_path(self.path)
            for _ in range(i % 5):
                client.send(b'x')
            clients.append(client)
        wait_for(lambda: len(counts) == 200
                 and sum(counts.values()) == sum(i % 5 for i in range(200)))
        self.assertEqual(server.get_n_connections(), 200)
        for client in clients:
            client.close()
        wait_for(lambda: server.get_n_connections() == 0)

    def test_close_waits_for_the_last_connection(self):
        accepted = []
        server = self.serve(accepted.append)
        log = Log(server, 'close')
        client = self.keep(Usock.Seqpacket())
        client.connect_to_path(self.path)
        wait_for(lambda: accepted)
        server.close()
        client.send(b'still served')
        self.assertEqual(Usock.run(accepted[0].receive()).data, b'still served')
        self.assertEqual(log, [])
        client.close()
        Log(accepted[0], 'close').wait('close')
        log.wait('close')

    def test_mode(self):
        server = self.keep(Usock.Server(mode=0o622))
        server.listen(self.path)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o622)


class TestFromFd(fixture.Case):
    def test_adopted(self):
        import socket
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            channel = self.keep(Usock.Seqpacket.new_from_fd(ours.detach()))
            log = Log(channel, 'data', 'end', 'close')
            theirs.send(b'in')
            log.wait('data')
            channel.send(b'out')
            self.assertEqual(theirs.recv(10), b'out')
        log.wait('close')


tap.main()
