# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A connection that comes back, awaited and iterated."""

import asyncio
import pathlib

import fixture
import tap
from fixture import Gio, GLib, Usock, wait_for

Code = Gio.IOErrorEnum


class ClientCase(fixture.Case):
    def client(self, *args, **properties):
        client = Usock.Client(*args, min_delay=1, max_delay=5, **properties)
        self.addCleanup(client.stop)
        return client

    def tearDown(self):
        self.doCleanups()
        super().tearDown()

    def serve_calls(self, **handlers):
        def set_handlers(channel):
            peer = Usock.Peer(channel)
            for name, handler in handlers.items():
                peer.handle(name, handler)
        return self.serve(set_handlers)

    def drop_all(self, server):
        for channel in list(server):
            channel.close()


class TestSending(ClientCase):
    def test_waits_for_a_server(self):
        client = self.client()
        self.assertTrue(client.start(self.path))
        client.send(b'one')
        client.send('two')
        got = []

        async def main():
            sending = Usock.spawn(client.send_async(b'three'))
            await Usock.sleep(0)
            self.assertFalse(sending.done())
            server = self.serve()
            channel = await server.accept()
            await sending
            async for message in channel:
                got.append(bytes(message))
                if len(got) == 3:
                    break
            self.assertIs(await client.connected(), client.get_channel())

        Usock.run(main())
        self.assertEqual(got, [b'one', b'two', b'three'])

    def test_what_was_not_sent_comes_back(self):
        client = self.client()
        log = []
        client.connect('unsent', lambda _, message, error: log.append((message.text, error)))
        client.start(self.path)
        client.send_text('lost')
        with self.raises(Code.TIMED_OUT):
            Usock.run(client.send_async('late', timeout=0.01))
        client.stop()
        wait_for(lambda: log)
        (text, error), = log
        self.assertEqual(text, 'lost')
        self.is_error(error, Code.CLOSED)
        self.assertIsInstance(error, Usock.Error)
        with self.raises(Code.NOT_CONNECTED):
            client.send(b'stopped')

    def test_waiting_tells_why(self):
        client = self.client()
        log = []
        client.connect('waiting', lambda _, delay, error: log.append((delay, error)))
        client.start(self.path)
        wait_for(lambda: len(log) >= 3)
        for delay, error in log:
            self.assertLessEqual(delay, 5)
            self.assertIsInstance(error, FileNotFoundError)
        with self.raises(Code.TIMED_OUT):
            Usock.run(client.connected(timeout=0.01))

    def test_places(self):
        for where in (self.path, pathlib.Path(self.path), Gio.File.new_for_path(self.path),
                      Gio.UnixSocketAddress.new(self.path)):
            server = self.serve()
            client = self.client()
            client.start(where)
            Usock.run(client.connected())
            client.stop()
            server.close()
        server = self.keep(Usock.Server(socket_type=Gio.SocketType.STREAM))
        server.listen('127.0.0.1:0')
        client = self.client(Usock.Stream)
        client.start(f'127.0.0.1:{server.get_local_address().get_port()}')
        self.assertIsInstance(Usock.run(client.connected()), Usock.Stream)
        client.stop()
        client.start('localhost:1')
        client.stop()
        for where, kind in ((7, TypeError), ('a\0b', GLib.Error), ('host:70000', GLib.Error)):
            with self.assertRaises(kind):
                client.start(where)
        with self.assertRaises(GLib.Error):
            self.client().start('localhost:1')


class TestConnections(ClientCase):
    def test_one_after_the_other(self):
        client = self.client()
        server = self.serve(lambda channel: channel.send(b'hello'))
        client.start(self.path)
        got = []

        async def main():
            async for channel in client:
                async for message in channel:
                    got.append(message.text)
                    self.drop_all(server)
                if len(got) == 3:
                    client.stop()

        Usock.run(main())
        self.assertEqual(got, ['hello'] * 3)

    def test_stopping_ends_the_loop(self):
        client = self.client()
        server = self.serve()
        client.start(self.path)

        async def main():
            n = 0
            async for _channel in client:
                n += 1
                Usock.spawn(self.stop_later(client))
            return n

        self.assertEqual(Usock.run(main()), 1)
        self.assertEqual(asyncio.run(main()), 0)
        server.close()

    async def stop_later(self, client):
        await Usock.sleep(0)
        client.stop()


class TestCalls(ClientCase):
    def test_calls_survive_a_restart(self):
        client = self.client()
        client.start(self.path)

        async def main():
            calls = [Usock.spawn(client.call('Double', i)) for i in range(3)]
            await Usock.sleep(0)
            server = self.serve_calls(Double=lambda body: body * 2)
            self.assertEqual([await call for call in calls], [0, 2, 4])
            self.drop_all(server)
            server.close()
            self.serve_calls(Double=lambda body: body * 3)
            return await client.call('Double', 5, timeout=fixture.DEADLINE)

        self.assertEqual(Usock.run(main()), 15)

    def test_a_call_is_not_made_twice(self):
        asked = []

        def die(body, call):
            asked.append(body)
            self.drop_all(server)
        server = self.serve_calls(Die=die)
        client = self.client()
        client.start(self.path)
        with self.raises(Code.CONNECTION_CLOSED):
            Usock.run(client.call('Die', 1))
        Usock.run(client.connected())
        self.assertEqual(asked, [1])

    def test_time_limits(self):
        client = self.client()
        client.start(self.path)
        with self.raises(Code.TIMED_OUT):
            Usock.run(client.call('Any', timeout=0.01))
        kept = []
        self.serve_calls(Keep=lambda body, call: call.get_cancellable() and kept.append(call)
                         or Usock.Future())
        Usock.run(client.connected())
        with self.raises(Code.TIMED_OUT):
            Usock.run(client.call('Keep', timeout=0.05))
        cancellable = Gio.Cancellable()
        cancellable.cancel()
        with self.raises(Code.CANCELLED):
            Usock.run(client.call('Keep', cancellable=cancellable))
        self.assertEqual(len(kept), 1)

    def test_handlers_are_there_on_each_connection(self):
        client = self.client()

        @client.handle('Name')
        def name(body):
            return f'client {body}'

        peers = []
        server = self.serve(lambda channel: peers.append(Usock.Peer(channel)))
        client.start(self.path)
        for i in range(2):
            wait_for(lambda: len(peers) > i)
            self.assertEqual(Usock.run(peers[i].call('Name', i)), f'client {i}')
            self.drop_all(server)
        wait_for(lambda: len(peers) == 3)
        wait_for(client.get_peer)
        client.handle('Late', lambda body: 'late')
        self.assertEqual(Usock.run(peers[2].call('Late')), 'late')
        with self.raises(Code.NOT_SUPPORTED):
            client.send(b'words')

    def test_asyncio(self):
        async def main():
            server = self.serve_calls(Double=lambda body: body * 2)
            with self.client() as client:
                client.start(self.path)
                self.assertEqual(await client.call('Double', 4), 8)
            server.close()
        asyncio.run(main())


class TestMisuse(ClientCase):
    def test_classes_of_channels(self):
        class Own(Usock.Seqpacket):
            __gtype_name__ = 'TestClientOwn'

        self.serve()
        client = self.client(Own)
        client.start(self.path)
        self.assertIsInstance(Usock.run(client.connected()), Own)
        for kind in (Usock.Dgram, Usock.Channel, Gio.File, 7, 'Stream', None):
            with self.assertRaises(TypeError):
                Usock.Client(kind)

    def test_what_is_not_started(self):
        client = self.client()
        for call in (client.connected, lambda: client.call('Any'), lambda: client.send_async(b'x')):
            with self.raises(Code.NOT_CONNECTED):
                Usock.run(call())
        self.assertIsNone(client.get_peer())
        client.stop()
        client.start(self.path)
        with self.raises(Code.PENDING):
            client.start(self.path)
        with self.assertRaises(TypeError):
            client.send(7)


tap.main()
