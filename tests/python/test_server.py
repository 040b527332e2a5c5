# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Who may in, the list of those who are, what is sent to all, and the end of a server."""

import os
import select
import sys
import unittest

import fixture
import tap
from fixture import Gio, GLib, Usock, wait_for

OTHER_USER = 61001


class TestServer(fixture.Case):
    def start(self, **properties):
        self.log = []
        server = self.keep(Usock.Server(**properties))
        server.connect('connection', self.entered)
        server.connect('drop', self.dropped)
        server.set_mode(0o666)
        os.chmod(self.directory, 0o755)
        server.listen(self.path)
        return server

    def entered(self, _server, channel):
        self.log.append('connection')
        channel.connect('data', lambda _channel, data: self.log.append(data))

    def dropped(self, _server, credentials, _address, _reason):
        self.log.append(('drop', credentials and credentials.get_unix_user()))

    def client(self):
        client = self.keep(Usock.Seqpacket())
        client.connect_to_path(self.path)
        return client

    def judge(self, verdict):
        """Returns what became of a connection about which a handler returns this."""
        server = self.start()
        handler = server.connect('authorize', lambda _server, _channel: verdict)
        self.client().send('secret')
        wait_for(lambda: self.log)
        server.disconnect(handler)
        server.close()
        if self.log == ['connection']:
            wait_for(lambda: len(self.log) == 2)
        return self.log


class TestAuthorize(TestServer):
    def test_a_verdict(self):
        self.assertEqual(self.judge(Usock.Verdict.ALLOW), ['connection', b'secret'])
        self.assertEqual(self.judge(Usock.Verdict.REFUSE), [('drop', os.getuid())])

    def test_a_truth(self):
        self.assertEqual(self.judge(True), ['connection', b'secret'])
        self.assertEqual(self.judge(False), [('drop', os.getuid())])

    def test_anything_else(self):
        async def decide():
            return Usock.Verdict.ALLOW
        promise = decide()
        for verdict in (None, 'yes', promise, object(), 2, -1):
            complaints = []
            sys.excepthook = lambda *error, told=complaints: told.append(error)
            self.assertEqual(self.judge(verdict), [('drop', os.getuid())])
            self.assertLessEqual(len(complaints), 1)
        promise.close()

    def test_a_failing_handler(self):
        server = self.start()
        sys.excepthook = lambda *error: None
        server.connect('authorize', lambda _server, _channel: 1 / 0)
        self.client()
        wait_for(lambda: self.log)
        self.assertEqual(self.log, [('drop', os.getuid())])
        # The interpreter keeps what failed last, and the server with it.
        sys.last_value = sys.last_traceback = sys.last_exc = None

    def test_what_is_known_of_a_peer(self):
        server = self.start()
        self.client()
        wait_for(lambda: self.log)
        channel, = server
        credentials = channel.get_peer_credentials()
        self.assertEqual(credentials.get_unix_pid(), os.getpid())
        self.assertEqual(channel.get_peer_groups(), os.getgroups())
        try:
            pidfd = channel.dup_peer_pidfd()
        except GLib.Error as error:
            self.is_error(error, Gio.IOErrorEnum.NOT_SUPPORTED)
        else:
            self.assertFalse(select.select([pidfd], [], [], 0)[0])
            os.close(pidfd)
        try:
            self.assertTrue(channel.get_peer_security_label())
        except GLib.Error as error:
            self.is_error(error, Gio.IOErrorEnum.NOT_SUPPORTED)


@unittest.skipIf(os.getuid() != 0, 'only root can be another user')
class TestUsers(TestServer):
    def client_of(self, user):
        os.seteuid(user)
        try:
            return self.client()
        finally:
            os.seteuid(0)

    def test_allowed_users(self):
        self.start(allowed_users=Usock.AllowedUsers.SAME_USER)
        self.client_of(OTHER_USER).send('secret')
        self.client().send('hello')
        wait_for(lambda: len(self.log) == 3)
        self.assertEqual(self.log, [('drop', OTHER_USER), 'connection', b'hello'])

    def test_nobody_is_nobody(self):
        self.start(max_connections_per_user=5)
        self.client_of(65534)
        wait_for(lambda: self.log)
        self.assertEqual(self.log, [('drop', None)])


class TestList(TestServer):
    def test_of_channels(self):
        server = self.start()
        changes = []
        server.connect('items-changed', lambda _server, *change: changes.append(change))
        self.assertTrue(server)
        self.assertEqual((len(server), list(server)), (0, []))
        clients = [self.client() for _ in range(3)]
        wait_for(lambda: len(server) == 3)
        channels = list(server)
        self.assertEqual(server[1], channels[1])
        self.assertIn(channels[2], server)
        clients[1].close()
        wait_for(lambda: len(server) == 2)
        self.assertEqual(list(server), [channels[0], channels[2]])
        self.assertEqual(changes, [(0, 0, 1), (1, 0, 1), (2, 0, 1), (1, 1, 0)])

    def test_that_shrinks_while_it_is_read(self):
        server = self.start()
        for _ in range(3):
            self.client()
        wait_for(lambda: len(server) == 3)
        seen = 0
        for channel in server:
            self.assertIsInstance(channel, Usock.Seqpacket)
            channel.close()
            wait_for(lambda left=2 - seen: len(server) == left)
            seen += 1
        self.assertEqual(seen, 3)


class TestAll(TestServer):
    def test_broadcast(self):
        server = self.start()
        clients = [self.client() for _ in range(3)]
        wait_for(lambda: len(server) == 3)
        self.assertEqual(server.broadcast('grüße'), 3)
        self.assertEqual(server.broadcast(b''), 3)
        with open('/dev/null', 'rb') as file:
            # Nobody here takes descriptors: newer kernels tell the sender so.
            self.assertIn(server.broadcast(Usock.Message(b'file', [file])), (0, 3))
        for client in clients:
            self.assertEqual(next(client).text, 'grüße')
            self.assertEqual(next(client).data, b'')
        self.assertEqual(server.get_messages_missed(), 0)

    def test_pause(self):
        server = self.start(pause_on_connect=True)
        server.pause()
        self.client().send('hello')
        for _ in range(10):
            GLib.MainContext.default().iteration(False)
        self.assertEqual(self.log, [])
        self.assertTrue(server.props.paused)
        server.resume()
        wait_for(lambda: self.log)
        channel, = server
        self.assertTrue(channel.props.paused)
        channel.resume()
        wait_for(lambda: len(self.log) == 2)
        self.assertEqual(self.log, ['connection', b'hello'])

    def test_broadcast_is_enough(self):
        server = self.keep(Usock.Server())
        server.listen(self.path)
        client = self.client()
        self.assertEqual(server.broadcast('nobody is there yet'), 0)
        wait_for(lambda: len(server) == 1)
        self.assertEqual(server.broadcast('news'), 1)
        self.assertEqual(next(client).text, 'news')

    def test_the_list_is_enough(self):
        server = self.keep(Usock.Server())
        server.listen(self.path)
        numbers = []
        server.connect('notify::n-connections',
                       lambda server, _pspec: numbers.append(server.props.n_connections))
        server.connect('items-changed', lambda *_args: None)
        client = self.client()
        wait_for(lambda: len(server) == 1)
        client.close()
        wait_for(lambda: len(server) == 0)
        self.assertEqual(numbers, [1, 0])

    def test_close_gracefully(self):
        server = self.start()
        first, second = self.client(), self.client()
        wait_for(lambda: len(server) == 2)

        async def close():
            server.broadcast('goodbye')
            first.end()
            return await server.close_gracefully(50)
        self.assertEqual(Usock.run(close()), 1)
        self.assertEqual([len(server), next(first).text, next(second).text],
                         [0, 'goodbye', 'goodbye'])

    def test_close_gracefully_what_never_listened(self):
        self.assertEqual(Usock.run(Usock.Server().close_gracefully(50)), 0)


class Session(Usock.Seqpacket):
    """What a program keeps of a connection."""

    __gtype_name__ = 'TestServerSession'

    def __init__(self, **properties):
        super().__init__(**properties)
        self.heard = []

    def hear(self, _channel, data):
        self.heard.append(data)


class TestAccept(TestServer):
    def listen(self, **properties):
        server = self.keep(Usock.Server(**properties))
        server.listen(self.path)
        return server

    def test_accept(self):
        server, accepted = self.listen(), []
        self.client().send('first')
        self.client()
        server.accept_async(None, lambda server, result: accepted.append(
            server.accept_finish(result)))
        wait_for(lambda: accepted)
        self.assertEqual(len(server), 1)
        channel, = accepted
        self.assertEqual(next(self.keep(channel)).text, 'first')

    def test_a_cancelled_accept_takes_nothing(self):
        server, errors, accepted = self.listen(), [], []

        def cancelled(server, result):
            with self.assertRaises(GLib.Error) as caught:
                server.accept_finish(result)
            errors.append(caught.exception)
        cancellable = Gio.Cancellable()
        server.accept_async(cancellable, cancelled)
        self.client().send('kept')
        cancellable.cancel()
        wait_for(lambda: errors)
        self.assertTrue(errors[0].matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED))
        server.accept_async(None, lambda server, result: accepted.append(
            server.accept_finish(result)))
        wait_for(lambda: accepted)
        self.assertEqual(next(self.keep(accepted[0])).text, 'kept')

    def test_a_class_of_the_program(self):
        server = self.start(channel_type=Session)
        self.assertEqual(server.props.channel_type, Session.__gtype__)
        sessions = []
        server.connect('connection', lambda _server, session: (
            sessions.append(session), session.connect('data', session.hear)))
        self.client().send('hello')
        wait_for(lambda: sessions and sessions[0].heard)
        self.assertIsInstance(sessions[0], Session)
        self.assertEqual(sessions[0].heard, [b'hello'])
        self.assertIs(server[0], sessions[0])

    def test_what_nobody_claims_goes(self):
        server = self.start(unclaimed_timeout=50)
        server.disconnect_by_func(self.entered)
        server.connect('connection', lambda _server, _channel: self.log.append('connection'))
        client = self.client()
        client.send('unheard')
        wait_for(lambda: self.log)
        client.close()
        wait_for(lambda: len(server) == 0)

    def test_the_end_knows_the_peer(self):
        server, ends = self.start(), []

        def closed(channel):
            ends.append((channel.get_peer_credentials().get_unix_user(), len(server),
                         server.get_n_connections(), channel in server))
        server.connect('connection', lambda _server, channel: channel.connect('close', closed))
        client = self.client()
        wait_for(lambda: len(server) == 1)
        client.close()
        wait_for(lambda: ends)
        self.assertEqual(ends, [(os.getuid(), 0, 0, False)])

    def test_who_was_refused_and_why(self):
        server, told = self.start(max_connections=1), []
        server.connect('drop', lambda _server, _peer, address, reason: told.append(
            (address, reason)))
        self.client()
        wait_for(lambda: len(server) == 1)
        self.client()
        wait_for(lambda: told)
        self.assertEqual(told, [(None, Usock.DropReason.MAX_CONNECTIONS)])

    def test_a_group(self):
        for group in (str(os.getgid()), None):
            server = self.keep(Usock.Server(group=group, mode=0o660))
            server.listen(self.path)
            self.assertEqual(os.stat(self.path).st_gid, os.getgid())
            server.close()
        server = Usock.Server(group='no such group')
        with self.assertRaisesRegex(GLib.Error, 'no such group'):
            server.listen(self.path)


if __name__ == '__main__':
    tap.main()
