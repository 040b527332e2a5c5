# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Streams as Python's own: pieces, lines and frames, awaited and iterated, and GIO's streams."""

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
                                (second.receive, 'abcd\n')):
                call = start()
                waiting = asyncio.create_task(self.wait_for(call))
                first.send(text)
                while not call._result:
                    await asyncio.sleep(0)
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

    def test_through_a_view(self):
        first, second = self.pair(max_fds=2)
        input = second.create_io_stream().get_input_stream()
        output = first.create_io_stream().get_output_stream()
        with tempfile.TemporaryFile() as file:
            first.append_fd(file)
            first.append_fd(file.fileno())
            output.write(b'two')
        self.assertEqual(input.read_bytes(100).get_data(), b'two')
        fds = second.take_fds()
        self.assertEqual(len(fds), 2)
        for fd in fds:
            os.close(fd)
        self.assertEqual(second.take_fds(), [])
        with self.raises(Code.INVALID_ARGUMENT):
            first.append_fd(-1)

    def test_too_many_are_not_the_end_of_the_process(self):
        first, second = self.pair(max_fds=1)
        input = second.create_io_stream().get_input_stream()
        log = Log(second, 'error', 'close')
        with self.raises(Code.MESSAGE_TOO_LARGE):
            for _ in range(300):
                first.send(b'x', fds=[0])
                input.read_bytes(1)
        log.wait('close')


class TestView(StreamCase):
    def test_blocking(self):
        ours, theirs = socket.socketpair()
        stream = self.keep(Usock.Stream.new_from_fd(ours.detach()))
        view = stream.create_io_stream()
        with theirs:
            view.get_output_stream().write_all(b'question\n')
            self.assertEqual(theirs.recv(100), b'question\n')
            theirs.send(b'one\ntwo\n')
            lines = Gio.DataInputStream.new(view.get_input_stream())
            self.assertEqual([lines.read_line_utf8()[0] for _ in range(2)], ['one', 'two'])
            theirs.shutdown(socket.SHUT_WR)
            self.assertIsNone(lines.read_line_utf8()[0])
        view.close()
        with self.raises(Code.CLOSED):
            view.get_output_stream().write(b'x')

    def test_asynchronous(self):
        first, second = self.pair()
        lines = Gio.DataInputStream.new(second.create_io_stream().get_input_stream())
        got = []

        def read(lines, result):
            got.append(lines.read_line_finish_utf8(result)[0])
            if got[-1] is not None:
                lines.read_line_async(0, None, read)

        lines.read_line_async(0, None, read)
        first.send(b'one\ntwo')
        wait_for(lambda: got)
        first.end()
        wait_for(lambda: len(got) == 3)
        self.assertEqual(got, ['one', 'two', None])

    def test_splice(self):
        first, second = self.pair()
        data = bytes(range(256)) * 10000
        source = Gio.MemoryInputStream.new_from_bytes(GLib.Bytes.new(data))
        target = Gio.MemoryOutputStream.new_resizable()
        done = []
        first.create_io_stream().get_output_stream().splice_async(
            source, Gio.OutputStreamSpliceFlags.CLOSE_TARGET, 0, None,
            lambda stream, result: done.append(stream.splice_finish(result)))
        target.splice_async(
            second.create_io_stream().get_input_stream(),
            Gio.OutputStreamSpliceFlags.CLOSE_TARGET, 0, None,
            lambda stream, result: done.append(stream.splice_finish(result)))
        wait_for(lambda: len(done) == 2)
        self.assertEqual(target.steal_as_bytes().get_data(), data)

    def test_polling(self):
        first, second = self.pair()
        input = second.create_io_stream().get_input_stream()
        self.assertFalse(input.is_readable())
        seen = []
        source = input.create_source(None)
        source.set_callback(lambda *_: seen.append(input.read_bytes(100).get_data()) or True)
        source.attach(GLib.MainContext.ref_thread_default())
        first.send(b'polled')
        wait_for(lambda: seen)
        self.assertEqual(seen, [b'polled'])
        source.destroy()

    def test_mixed(self):
        first, second = self.pair()
        input = second.create_io_stream().get_input_stream()
        first.send(b'head\nbody and more')
        self.assertEqual(Usock.run(second.receive_line()), 'head')
        self.assertEqual(input.read_bytes(4).get_data(), b'body')
        log = Log(second, 'data')
        log.wait('data')
        self.assertEqual(log, [('data', b' and more')])

    def test_a_read_while_others_wait(self):
        first, second = self.pair()
        input = second.create_io_stream().get_input_stream()
        waiting = Usock.spawn(second.receive_line())
        with self.raises(Code.PENDING):
            input.read_bytes(1)
        first.send(b'line\n')
        wait_for(waiting.done)
        self.assertEqual(waiting.result(), 'line')

    def test_tcp(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            stream = self.keep(Usock.Stream())
            call = stream.open_host('localhost', server.getsockname()[1])
            self.assertIs(Usock.run(call), stream)
            peer, _ = server.accept()
            with peer:
                view = stream.create_io_stream()
                view.get_output_stream().write_all(b'question')
                self.assertEqual(peer.recv(100), b'question')
                peer.send(b'answer')
                self.assertEqual(view.get_input_stream().read_bytes(6).get_data(), b'answer')
                with self.raises(Code.NOT_SUPPORTED):
                    stream.append_fd(0)
                view.close()
                self.assertEqual(peer.recv(100), b'')

    def test_not_connected(self):
        stream = Usock.Stream()
        view = stream.create_io_stream()
        with self.raises(Code.NOT_CONNECTED):
            view.get_input_stream().read_bytes(1)
        with self.raises(Code.NOT_CONNECTED):
            view.get_output_stream().write(b'x')
        view.close()

    def test_a_dropped_view_closes_nothing(self):
        first, second = self.pair()
        for _ in range(3):
            Gio.BufferedInputStream.new(second.create_io_stream().get_input_stream())
        first.send(b'still open')
        self.assertEqual(Usock.run(second.receive()).data, b'still open')


tap.main()
