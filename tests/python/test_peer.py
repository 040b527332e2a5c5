# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Calls between programs as Python's own: awaited, and answered by functions and coroutines."""

import asyncio
import os

import fixture
import tap
from fixture import Gio, GLib, Usock, wait_for

Code = Gio.IOErrorEnum

# What anything may be made of, and comes back as.
VALUES = (
    None, True, False, 0, -1, 2**63 - 1, -2**63, 2**64 - 1, 1.5, float('inf'), '', 'text', 'ü',
    b'', b'\0\xff', [], [1, 'two', [3.0]], {}, {'a': 1, 'b': [None, {'c': b'd'}]}, (1,),
    (1, 'two', (3,)), 'x' * 300000, b'x' * 300000, [b'x' * 300000],
)


class PeerCase(fixture.Case):
    def peers(self, kind=Usock.Seqpacket):
        ends = [self.keep(end) for end in kind.pair()]
        return [Usock.Peer(end) for end in ends]


class TestCalling(PeerCase):
    def test_values_come_back(self):
        for kind in (Usock.Seqpacket, Usock.Stream):
            client, server = self.peers(kind)
            server.handle('Echo', lambda body: body)

            async def main():
                return [await client.call('Echo', value) for value in VALUES]

            got = Usock.run(main())
            self.assertEqual(got, list(VALUES))
            self.assertEqual([type(value) for value in got], [type(value) for value in VALUES])

    def test_signatures(self):
        client, server = self.peers()
        types = []

        @server.handle('Echo')
        def echo(body, call):
            value = call.get_variant()
            types.append(value.get_type_string())
            return value

        pairs = [('i', 7, 7), ('y', 255, 255), ('as', ['a', 'b'], ['a', 'b']), ('(ii)', (1, 2), (1, 2)),
                 ('(ii)', [1, 2], (1, 2)), ('a{ix}', {1: 2}, {1: 2}), ('a{sv}', {'k': [1]}, {'k': [1]}),
                 ('ay', b'bytes', b'bytes'), ('aay', [b'a', b''], [b'a', b'']), ('ms', None, None),
                 ('ms', 'x', 'x'), ('v', 5, 5), ('()', None, None), ('o', '/a', '/a'), ('d', 1, 1.0),
                 ('a(sv)', [('a', 1)], [('a', 1)])]

        async def main():
            return [await client.call('Echo', value, signature=kind) for kind, value, _ in pairs]

        self.assertEqual(Usock.run(main()), [wanted for *_, wanted in pairs])
        self.assertEqual(types, [kind for kind, *_ in pairs])

    def test_what_is_no_value(self):
        client, _server = self.peers()
        for arguments, signature in (((object(),), None), (({1: 2},), None), (('a\0b',), None),
                                     ((['a\0b'],), None), ((1,), 'not a type'), ((1,), 's'),
                                     (((1, 2, 3),), '(ii)'), ((300,), 'y'), ((1,), 'a*')):
            with self.subTest(arguments=arguments, signature=signature), \
                    self.assertRaises((TypeError, ValueError, OverflowError)):
                Usock.run(client.call('Echo', *arguments, signature=signature))
        for name in ('', 'x' * 256, None, 7, 'a\0b'):
            with self.assertRaises((TypeError, ValueError)):
                Usock.run(client.call(name))

    def test_coroutines_answer_in_any_order(self):
        client, server = self.peers()
        gate = Usock.Future()

        @server.handle('Slow')
        async def slow(body):
            await gate
            return body

        @server.handle('Quick')
        async def quick(body):
            gate.set_result(None)
            return 'quick'

        async def main():
            waiting = Usock.spawn(client.call('Slow', 'slow'))
            first = await client.call('Quick')
            return first, await waiting

        self.assertEqual(Usock.run(main()), ('quick', 'slow'))

    def test_errors_cross(self):
        client, server = self.peers()

        @server.handle('Fail')
        def fail(body):
            if body == 'glib':
                raise GLib.Error.new_literal(Gio.dbus_error_quark(), 'no such name',
                                             Gio.DBusError.NAME_HAS_NO_OWNER)
            if body == 'file':
                open('/does/not/exist')
            raise KeyError(body)

        async def error_of(body):
            try:
                await client.call('Fail', body)
            except GLib.Error as error:
                return error

        error = Usock.run(error_of('glib'))
        self.assertTrue(error.matches(Gio.dbus_error_quark(), Gio.DBusError.NAME_HAS_NO_OWNER))
        self.assertEqual(error.message, 'no such name')
        self.assertIsInstance(Usock.run(error_of('file')), FileNotFoundError)
        error = Usock.run(error_of('other'))
        self.is_error(error, Code.FAILED)
        self.assertEqual(error.message, "'other'")

    def test_coroutines_fail(self):
        client, server = self.peers()

        @server.handle('Fail')
        async def fail(body):
            await Usock.sleep(0)
            raise PermissionError(13, 'not you')

        with self.assertRaises(PermissionError):
            Usock.run(client.call('Fail'))

    def test_timeout_tells_the_other_side(self):
        client, server = self.peers()
        ended = []

        @server.handle('Slow')
        async def slow(body):
            try:
                await Usock.Future()
            except GLib.Error as error:
                ended.append(error)

        with self.raises(Code.TIMED_OUT):
            Usock.run(client.call('Slow', timeout=0.02))
        wait_for(lambda: ended)
        self.is_error(ended[0], Code.CANCELLED)

    def test_cancel(self):
        client, server = self.peers()
        calls = []
        server.handle('Keep', lambda body, call: calls.append(call) or Usock.Future())
        cancellable = Gio.Cancellable()

        async def main():
            waiting = Usock.spawn(client.call('Keep', cancellable=cancellable))
            while not calls:
                await Usock.sleep(0.001)
            cancellable.cancel()
            await waiting

        with self.raises(Code.CANCELLED):
            Usock.run(main())
        wait_for(calls[0].cancellable.is_cancelled)

    def test_nobody_handles_it(self):
        client, server = self.peers()
        server.handle('Some', lambda body: None)
        with self.raises(Code.NOT_SUPPORTED):
            Usock.run(client.call('Other'))
        server.unhandle('Some')
        with self.raises(Code.NOT_SUPPORTED):
            Usock.run(client.call('Some'))
        self.assertEqual(server.list_handlers(), [])

    def test_the_peer_goes(self):
        client, server = self.peers()
        server.handle('Leave', lambda body, call: server.get_channel().close())
        with self.raises(Code.CONNECTION_CLOSED):
            Usock.run(client.call('Leave'))

    def test_signal(self):
        client, server = self.peers()

        def answer(_peer, call):
            call.reply([call.name, call.body])
            with self.raises(Code.EXISTS):
                call.reply()

        server.connect('call', answer)
        self.assertEqual(Usock.run(client.call('Any', 7)), ['Any', 7])

    def test_answered_later(self):
        client, server = self.peers()
        kept = []
        server.connect('call', lambda _peer, call: kept.append(call))

        async def main():
            waiting = Usock.spawn(client.call('Any', 'body'))
            while not kept:
                await Usock.sleep(0.001)
            self.assertEqual(kept[0].body, 'body')
            self.assertEqual(kept[0].get_credentials().get_unix_pid(), os.getpid())
            kept.pop().reply('late')
            return await waiting

        self.assertEqual(Usock.run(main()), 'late')

    def test_dropped(self):
        client, server = self.peers()
        server.connect('call', lambda _peer, call: None)
        with self.raises(Code.FAILED):
            Usock.run(client.call('Any'))

    def test_post(self):
        client, server = self.peers()
        got = []
        server.connect('posted', lambda _peer, name, body: got.append((name, body.body)))
        client.post('Log', {'n': 1})
        client.post('Log')
        client.post('Log', b'x' * 1000000)
        wait_for(lambda: len(got) == 3)
        self.assertEqual(got, [('Log', {'n': 1}), ('Log', None), ('Log', b'x' * 1000000)])

    def test_messages(self):
        client, server = self.peers()
        server.handle('Echo', lambda body, call: call.get_body())
        message = Usock.run(client.call_message('Echo', Usock.Message(b'bytes')))
        self.assertEqual((message.data, message.get_kind()), (b'bytes', Usock.BodyKind.BYTES))


class TestAnother(PeerCase):
    def test_over_the_same_channel(self):
        _peer, other = self.peers()
        with Usock.Peer.new(other.get_channel()) as another:
            self.assertIsNone(another.get_channel())
            with self.assertRaises(FileExistsError):
                another.post('Echo', 1)
        self.assertEqual(other.get_channel().get_state(), Usock.State.OPEN)


class TestDescriptors(PeerCase):
    def setUp(self):
        super().setUp()
        self.file = os.path.join(self.directory, 'file')
        with open(self.file, 'w', encoding='utf-8') as file:
            file.write('content')

    def test_a_file_comes_back(self):
        for kind in (Usock.Seqpacket, Usock.Stream):
            client, server = self.peers(kind)
            client.get_channel().set_max_fds(8)
            server.handle('Open', lambda body: open(body['path'], 'rb'))

            async def main():
                return await client.call('Open', {'path': self.file}, timeout=10)

            with open(Usock.run(main()).take(), encoding='utf-8') as file:
                self.assertEqual(file.read(), 'content')

    def test_in_a_value(self):
        client, server = self.peers()
        server.get_channel().set_max_fds(8)

        @server.handle('Sizes')
        def sizes(body):
            with body['last']:
                return [os.fstat(d.fileno()).st_size for d in [*body['files'], body['last']]]

        with open(self.file, 'rb') as file, open('/dev/null', 'rb') as null:
            body = {'files': [null, file], 'last': file}
            self.assertEqual(Usock.run(client.call('Sizes', body)), [0, 7, 7])
            body = GLib.Variant('a{sv}', {'files': GLib.Variant('ah', [0]),
                                          'last': GLib.Variant('h', 1)})
            self.assertEqual(Usock.run(client.call('Sizes', body, fds=[null, file])), [0, 7])
            body = {'files': [null], 'last': file}
            self.assertEqual(Usock.run(client.call('Sizes', body, signature='a{sv}')), [0, 7])

    def test_refused(self):
        client, server = self.peers()
        server.handle('Take', lambda body: None)
        with open(self.file, 'rb') as file, self.raises(Code.PERMISSION_DENIED):
            Usock.run(client.call('Take', file))


class TestLimits(PeerCase):
    def test_too_large(self):
        client, server = self.peers()
        server.handle('Echo', lambda body: body)
        server.props.max_body_size = 1000
        with self.raises(Code.MESSAGE_TOO_LARGE):
            Usock.run(client.call('Echo', b'x' * 1001))
        self.assertEqual(Usock.run(client.call('Echo', 'on')), 'on')


class TestAsyncio(PeerCase):
    def test_calls(self):
        client, server = self.peers()

        @server.handle('Slow')
        async def slow(body):
            await asyncio.sleep(0.001)
            return body

        async def main():
            return await asyncio.gather(*[client.call('Slow', i) for i in range(20)])

        self.assertEqual(asyncio.run(main()), list(range(20)))

    def test_cancelled(self):
        client, server = self.peers()
        ended = []

        @server.handle('Slow')
        async def slow(body):
            try:
                await asyncio.sleep(100)
            finally:
                ended.append(True)

        async def main():
            with self.raises(Code.TIMED_OUT):
                await client.call('Slow', timeout=0.02)
            while not ended:
                await asyncio.sleep(0.001)

        asyncio.run(main())


tap.main()
