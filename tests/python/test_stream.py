# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Streams as Python's own: pieces, lines and frames, awaited and iterated."""

import asyncio
import os
import socket
import tempfile

import fixture
import tap
from fixture import Gio, GLib, Log, Usock, wait_for

Code = Gio.IOErrorEnum

# GIO starts its worker thread with this, and keeps what that has open.
assert Gio.Task


class StreamCase(fixture.Case):
    def pair(self, **properties):
        ends = [self.keep(end) for end in Usock.Stream.pair()]
        for name, value in properties.items():
            ends[1].set_property(name, value)
        return ends


class TestReceiving(StreamCase):
    def test_exactly(self):
        first, second = self.pair()
        first.send(b'abcdef')

        async def main():
            got = [(await second.receive_exactly(n)).data for n in (2, 0, 3)]
            waiting = Usock.spawn(second.receive_exactly(3))
            first.send(b'gh')
            got.append((await waiting).data)
            first.end()
            return got, await second.receive_exactly(1)

        self.assertEqual(Usock.run(main()), ([b'ab', b'', b'cde', b'fgh'], None))

    def test_the_end_comes_too_early(self):
        first, second = self.pair()
        first.send(b'abc')
        first.end()
        with self.raises(Code.PARTIAL_INPUT):
            Usock.run(second.receive_exactly(4))
        self.assertEqual(Usock.run(second.receive_exactly(3)).data, b'abc')

    def test_numbers_that_are_none(self):
        second = self.pair()[1]
        for arguments in ((-1,), (1, -1), (2**64,), ('1',), (None,), (1.5,)):
            with self.subTest(arguments=arguments), self.assertRaises((OverflowError, TypeError)):
                Usock.run(second.receive_exactly(*arguments))
        with self.raises(Code.INVALID_ARGUMENT):
            Usock.run(second.receive_exactly(2**32 - 1))

    def test_lines(self):
        first, second = self.pair()
        first.send('eins\r\nzw\u00f6lf\n\nunfinished')
        first.end()

        async def main():
            got = []
            async for line in second.lines():
                got.append(line)
                if not line:
                    break
            # The loop was left, the stream was not.
            got.append((await second.receive_exactly(2)).data)
            async for line in second.lines():
                got.append(line)
            return got

        self.assertEqual(Usock.run(main()),
                         ['eins', 'zw\u00f6lf', '', b'un', 'finished'])

    def test_lines_without_a_coroutine(self):
        first, second = self.pair()
        first.send(b'one\ntwo\n')
        first.end()
        self.assertEqual(list(second.lines()), ['one', 'two'])

    def test_text(self):
        first, second = self.pair()
        smile = '\N{GRINNING FACE}'.encode()
        first.send(b'a' + smile[:2])
        self.assertEqual(Usock.run(second.receive_text()), 'a')
        first.send(smile[2:])
        self.assertEqual(Usock.run(second.receive_text()), '\N{GRINNING FACE}')
        first.send(b'\xff!\n')
        with self.raises(Code.INVALID_DATA):
            Usock.run(second.receive_text())
        with self.raises(Code.INVALID_DATA):
            Usock.run(second.receive_line())
        self.assertEqual(Usock.run(second.receive_exactly(3)).data, b'\xff!\n')
        first.end()
        self.assertIsNone(Usock.run(second.receive_text()))

    def test_pieces(self):
        first, second = self.pair()
        expected = bytes(range(256)) * 1000

        async def send():
            async with first:
                for start in range(0, len(expected), 1000):
                    await first.send_async(expected, start, min(1000, len(expected) - start))

        async def main():
            sending = Usock.spawn(send())
            got = b''.join([message.data async for message in second])
            await sending
            return got

        self.assertEqual(Usock.run(main()), expected)

    def test_unread(self):
        first, second = self.pair()
        first.send(b'not mine')
        second.unread(Usock.run(second.receive()))
        self.assertEqual(Usock.run(second.receive()).data, b'not mine')

    def test_what_is_cancelled_takes_nothing(self):
        first, second = self.pair()

        async def main():
            for start in (lambda: second.receive_exactly(100), second.receive_line,
                          second.receive):
                waiting = asyncio.create_task(self.wait_for(start()))
                await asyncio.sleep(0)
                first.send(b'text')
                waiting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
                self.assertEqual((await second.receive_exactly(4)).data, b'text')

        asyncio.run(main())

    async def wait_for(self, call):
        return await call

    def test_what_is_dropped_is_next_again(self):
        """Everything had come when the task was cancelled."""
        first, second = self.pair()

        async def main():
            for start, text in ((lambda: second.receive_exactly(5), 'abcd\n'),
                                (second.receive_line, 'abcd\n'), (second.receive_text, 'abcd\n'),
                                (second.receive_line_bytes, 'abcd\n'),
                                (lambda: second.receive_until('d\n'), 'abcd\n'),
                                (second.receive, 'abcd\n')):
                read = second.get_bytes_read()
                waiting = asyncio.create_task(start())
                await asyncio.sleep(0)
                first.send(text)
                while second.get_bytes_read() == read:
                    GLib.MainContext.default().iteration(True)
                waiting.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await waiting
                self.assertEqual((await second.receive_exactly(5)).text, text)

        asyncio.run(main())

    def test_under_asyncio(self):
        first, second = self.pair()

        async def echo():
            async for line in second.lines():
                await second.send_async(line + '\n')

        async def main():
            echoing = asyncio.create_task(echo())
            got = []
            for i in range(100):
                await first.send_async(f'{i}\n')
                got.append(await first.receive_line())
            first.end()
            await echoing
            return got

        self.assertEqual(asyncio.run(main()), [str(i) for i in range(100)])

    def test_an_own_close_is_raised(self):
        second = self.pair()[1]

        async def main():
            for start in (lambda: second.receive_exactly(1), second.receive_line,
                          second.receive_text):
                with self.raises(Code.CLOSED):
                    await start()

        second.close()
        Usock.run(main())


class TestSending(StreamCase):
    def test_cork(self):
        first, second = self.pair()
        log = Log(second, 'data')
        with first.cork() as stream:
            self.assertIs(stream, first)
            for word in ('many', ' small', ' pieces'):
                stream.send(word)
            self.assertGreater(first.get_queued_bytes(), 0)
        log.wait('data')
        self.assertEqual(log, [('data', b'many small pieces')])
        with self.assertRaises(ZeroDivisionError), first.cork():
            first.send(b'x')
            1 / 0
        log.wait('data', 2)
        first.cork()
        first.uncork()
        first.uncork()

    def test_a_last_message(self):
        first, second = self.pair(allow_half_open=True)
        first.set_queue_limit(1000)
        with self.raises(Code.WOULD_BLOCK):
            while True:
                first.send(bytes(1000))
        first.end_with_message('last')
        with self.raises(Code.CLOSED):
            first.send('too late')
        got = b''.join(message.data for message in second)
        self.assertEqual(got[-4:], b'last')
        second.end_with_message(b'--answer', offset=2)
        self.assertEqual(Usock.run(first.receive()).data, b'answer')

    def test_counters_and_queue(self):
        first, second = self.pair()
        with first.cork():
            first.send(b'12345')
            self.assertGreaterEqual(first.props.queued_bytes, 5)
        self.assertEqual(first.props.queued_bytes, 0)
        self.assertEqual(Usock.run(second.receive_exactly(5)).data, b'12345')
        self.assertEqual((first.get_bytes_written(), second.get_bytes_read()), (5, 5))


class TestDescriptors(StreamCase):
    def test_both_directions(self):
        first, second = self.pair()
        first.set_max_fds(2)
        second.set_max_fds(2)
        with tempfile.TemporaryFile() as file:
            file.write(b'content')
            file.flush()
            for sender, receiver in ((first, second), (second, first)):
                sender.send(b'abcdef', fds=[file, file.fileno()])
                message = Usock.run(receiver.receive_exactly(6, 2))
                self.assertEqual((message.data, message.get_n_fds()), (b'abcdef', 2))
                for fd in message.take_fds():
                    self.assertEqual(os.pread(fd, 100, 0), b'content')
                    os.close(fd)
        with self.raises(Code.INVALID_ARGUMENT):
            first.send(b'', fds=[0])


class TestDelimiters(StreamCase):
    def test_until(self):
        first, second = self.pair()
        first.send(b'head\r\n\r\nbody;\xff\nrest')

        async def main():
            got = [await second.receive_until('\r\n\r\n'), await second.receive_until(b';'),
                   await second.receive_line_bytes()]
            self.assertFalse(second.was_cut_off())
            first.end()
            got.append(await second.receive_until(b'\n'))
            self.assertTrue(second.was_cut_off())
            self.assertEqual(got[-1].get_flags(), Usock.MessageFlags.CUT_OFF)
            return [message.data for message in got], await second.receive_until(b'\n')

        self.assertEqual(Usock.run(main()), ([b'head', b'body', b'\xff', b'rest'], None))
        with self.raises(Code.INVALID_ARGUMENT):
            Usock.run(self.pair()[0].receive_until(b''))
        with self.assertRaises(TypeError):
            Usock.run(second.receive_until(5))

    def test_cut_off(self):
        first, second = self.pair()
        first.send(b'whole\ncut')
        first.end()
        self.assertEqual(list(second.lines()), ['whole', 'cut'])
        self.assertTrue(second.was_cut_off())

    def test_what_is_dropped_is_next_again(self):
        """Everything had come when the task was cancelled, or all that ever will."""
        async def main(receive, sent, expected, is_whole):
            first, second = self.pair()
            waiting = asyncio.create_task(receive(second))
            await asyncio.sleep(0)
            first.send(sent)
            first.end()
            while not (second.get_bytes_read() if is_whole else second.was_cut_off()):
                GLib.MainContext.default().iteration(True)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            self.assertEqual((await receive(second)).data, expected)
            self.assertEqual(second.was_cut_off(), not is_whole)

        for receive, delimiter in ((lambda stream: stream.receive_until(b'--'), b'--'),
                                   (lambda stream: stream.receive_line_bytes(), b'\r\n')):
            asyncio.run(main(receive, b'ab' + delimiter, b'ab', True))
            asyncio.run(main(receive, b'ab', b'ab', False))


class TestNames(StreamCase):
    def test_path_and_descriptor(self):
        own = os.path.join(self.directory, 'own')
        for kind, raw_kind, make in (
                (Gio.SocketType.STREAM, socket.SOCK_STREAM, Usock.Stream),
                (Gio.SocketType.SEQPACKET, socket.SOCK_SEQPACKET, Usock.Seqpacket)):
            seen = []
            server = self.keep(Usock.Server(socket_type=kind))
            server.connect('connection', lambda _server, channel, seen=seen: seen.append(
                (channel.get_remote_address().get_path(), channel.close())[0]))
            server.listen(self.path)

            client = self.keep(make())
            client.bind_to_path(own)
            client.connect_to_path(self.path)
            wait_for(lambda seen=seen: len(seen) == 1)
            client.close()

            with socket.socket(socket.AF_UNIX, raw_kind) as plain:
                plain.bind(own)
                client = self.keep(make.new_from_bound_fd(plain))
            client.connect_to_path(self.path)
            wait_for(lambda seen=seen: len(seen) == 2)
            self.assertEqual(seen, [own, own])
            os.unlink(own)
            server.close()
        with self.assertRaises((ValueError, GLib.Error)):
            Usock.Stream().bind_to_path('a\0b')


class TestStealing(StreamCase):
    def test_descriptor(self):
        first, second = self.pair()
        log = Log(second, 'error', 'close')
        first.send(b'line\nand more')
        self.assertEqual(Usock.run(second.receive_line()), 'line')
        waiting = Usock.spawn(second.receive_line())
        fd, unread = second.steal_fd()
        self.assertEqual(unread, b'and more')
        log.wait('close')
        self.assertEqual(log, [('close',)])
        with self.raises(Code.CLOSED):
            waiting.result()
        with self.raises(Code.CLOSED):
            second.steal_fd()

        with socket.socket(fileno=fd) as plain:
            first.send(b'still open')
            self.assertEqual(plain.recv(100), b'still open')

    def test_connection(self):
        first, second = self.pair()
        connection, unread = second.steal_connection()
        self.assertIsInstance(connection, Gio.SocketConnection)
        self.assertEqual(unread, b'')
        connection.get_output_stream().write_all(b'from GIO\n')
        self.assertEqual(Usock.run(first.receive_line()), 'from GIO')
        connection.close()
        self.assertIsNone(Usock.run(first.receive_line()))

    def test_any_socket(self):
        server = self.keep(Usock.Server())
        with self.raises(Code.NOT_INITIALIZED):
            server.steal_fd()
        server.listen(self.path)
        fd, unread = server.steal_fd()
        with socket.socket(fileno=fd) as plain, socket.socket(
                socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(self.path)
            plain.accept()[0].close()
        self.assertEqual(unread, b'')


tap.main()
