# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Messages are awaited and iterated: by Usock.run(), under asyncio, and by a plain for."""

import asyncio
import gc
import struct
import sys

import fixture
import tap
from fixture import Gio, GLib, Log, Usock, wait_for

Code = Gio.IOErrorEnum


async def echo(channel):
    async with channel:
        async for message in channel:
            channel.send(message)


class TestAwait(fixture.Case):
    """Each test here is run by Usock.run() and, in TestAsyncio, by asyncio.run()."""

    def run_async(self, coroutine):
        return Usock.run(coroutine)

    def start(self, coroutine):
        return Usock.spawn(coroutine)

    def test_client_and_server(self):
        async def serve(server):
            async for channel in server:
                await echo(channel)
                server.close()

        async def main():
            server = Usock.Server()
            server.listen(self.path)
            serving = self.start(serve(server))
            async with await Usock.Seqpacket().open(self.path) as channel:
                for word in (b'one', b'', b'three'):
                    await channel.send_async(word)
                    answer = await channel.receive()
                    self.assertEqual(answer.data, word)
                await channel.end_async()
                self.assertIsNone(await channel.receive())
            await serving

        self.run_async(main())

    def test_open_returns_the_channel(self):
        async def main():
            server = self.serve()
            for where in (self.path, Gio.UnixSocketAddress.new(self.path)):
                channel = Usock.Seqpacket()
                self.assertIs(await channel.open(where), channel)
                channel.close()
            server.close()

        self.run_async(main())

    def test_open_fails(self):
        async def main():
            with self.raises(Code.NOT_FOUND, self.path):
                await Usock.Seqpacket().open(self.path)
            with self.raises(Code.INVALID_FILENAME, 'NUL'):
                await Usock.Seqpacket().open(self.path + '\0x')
            return 'went on'

        self.assertEqual(self.run_async(main()), 'went on')

    def test_iterate(self):
        first, second = self.pair()

        async def main():
            return [message.data async for message in second]

        for i in range(3000):
            first.send(struct.pack('I', i))
        first.end()
        self.assertEqual(self.run_async(main()), [struct.pack('I', i) for i in range(3000)])

    def test_the_end_comes_again(self):
        first, second = self.pair()
        second.set_allow_half_open(True)

        async def main():
            first.end()
            return [await second.receive() for _ in range(3)]

        self.assertEqual(self.run_async(main()), [None] * 3)

    def test_a_reset_is_raised_after_the_messages(self):
        first, second = self.pair()

        async def main():
            got = []
            with self.raises(Code.CONNECTION_CLOSED):
                async for message in second:
                    got.append(message.data)
            return got

        second.send(b'never read')
        first.send(b'one')
        first.send(b'two')
        first.close()
        self.assertEqual(self.run_async(main()), [b'one', b'two'])

    def test_an_own_close_is_raised(self):
        _first, second = self.pair()

        async def main():
            waiting = self.start(self.receive(second))
            second.close()
            with self.raises(Code.CLOSED):
                await waiting

        self.run_async(main())

    async def receive(self, channel, cancellable=None):
        return await channel.receive(cancellable)

    def test_cancel_loses_nothing(self):
        first, second = self.pair()

        async def main():
            for i in range(200):
                cancellable = Gio.Cancellable()
                waiting = self.start(self.receive(second, cancellable))
                if i % 2:
                    first.send(b'%d' % i)
                cancellable.cancel()
                if not i % 2:
                    first.send(b'%d' % i)
                try:
                    message = await waiting
                except GLib.Error as error:
                    self.is_error(error, Code.CANCELLED)
                    message = await second.receive()
                self.assertEqual(message.data, b'%d' % i)

        self.run_async(main())

    def test_cancelled_before_it_began(self):
        first, second = self.pair()

        async def main():
            cancellable = Gio.Cancellable()
            cancellable.cancel()
            first.send(b'x')
            with self.raises(Code.CANCELLED):
                await second.receive(cancellable)
            self.assertEqual((await second.receive()).data, b'x')

        self.run_async(main())

    def test_send_async_waits_for_room(self):
        first, second = self.pair()
        first.set_queue_limit(16 * 1024)

        async def send():
            for i in range(2000):
                await first.send_async(struct.pack('I', i) + bytes(996))
            await first.end_async()

        async def main():
            sending = self.start(send())
            got = [struct.unpack('I', m.data[:4])[0] async for m in second]
            await sending
            return got

        self.assertEqual(self.run_async(main()), list(range(2000)))

    def test_send_async_takes_what_send_takes(self):
        first, second = self.pair()
        second.set_max_fds(1)

        async def main():
            await first.send_async('0123', 1, 2)
            await first.send_async(Usock.Message(b'message'))
            with open('/dev/null') as null:
                await first.send_async(b'fd', fds=[null])
            with self.assertRaises(ValueError):
                await first.send_async(b'0123', 5)
            messages = [await second.receive() for _ in range(3)]
            return [(m.data, m.get_n_fds()) for m in messages]

        self.assertEqual(self.run_async(main()), [(b'12', 0), (b'message', 0), (b'fd', 1)])

    def test_flush(self):
        first, second = self.pair()
        got = Log(second, 'data')

        async def main():
            n_sent = 0
            while not first.get_queued_bytes():
                first.send(bytes(4000))
                n_sent += 1
            await first.flush()
            self.assertEqual(first.get_queued_bytes(), 0)
            self.assertEqual(first.get_messages_written(), n_sent)
            return n_sent

        n_sent = self.run_async(main())
        got.wait('data', n_sent)

    def test_close_gracefully(self):
        first, second = self.pair()
        got = Log(second, 'data', 'end', 'error', 'close')

        async def main():
            for i in range(500):
                first.send(b'%d' % i)
            await first.close_gracefully(10_000)

        self.run_async(main())
        got.wait('close')
        self.assertEqual(got, [('data', b'%d' % i) for i in range(500)] + [('end',), ('close',)])

    def test_close_gracefully_gives_up(self):
        first, second = self.pair()
        second.set_allow_half_open(True)

        async def main():
            with self.raises(Code.TIMED_OUT):
                await first.close_gracefully(20)

        self.run_async(main())
        self.assertEqual(first.props.state, Usock.State.CLOSED)

    def test_a_block_closes_what_it_opened(self):
        first, second = self.pair()
        log = Log(second, 'data', 'end', 'error', 'close')

        async def main():
            async with first:
                sent = 0
                while not first.get_queued_bytes():
                    first.send(b'%d' % sent)
                    sent += 1
            return sent

        sent = self.run_async(main())
        self.assertEqual(first.props.state, Usock.State.CLOSED)
        log.wait('close')
        self.assertEqual(log, [('data', b'%d' % i) for i in range(sent)] + [('end',), ('close',)])

    def test_a_block_closes_when_it_fails(self):
        first, _second = self.pair()

        async def main():
            async with first:
                while not first.get_queued_bytes():
                    first.send(bytes(1000))
                raise KeyError('inside')

        with self.assertRaises(KeyError):
            self.run_async(main())
        self.assertEqual(first.props.state, Usock.State.CLOSED)

    def test_errors_arrive_where_it_is_awaited(self):
        first, second = self.pair()

        async def main():
            with self.assertRaises(TypeError):
                await first.send_async(5)
            call = second.receive()
            first.send(b'x')
            await call
            with self.assertRaises(RuntimeError):
                await call

        self.run_async(main())

    def test_with_a_callback_it_is_what_it_was(self):
        first, second = self.pair()
        results = []
        second.receive_async(None, lambda channel, result: results.append(
            channel.receive_finish(result).data))
        first.flush_async(None, lambda channel, result: results.append(
            channel.flush_finish(result)))
        first.send(b'x')
        wait_for(lambda: len(results) == 2)
        self.assertCountEqual(results, [b'x', True])

    def test_many_at_once(self):
        server = self.keep(Usock.Server())

        async def client(number):
            async with await Usock.Seqpacket().open(self.path) as channel:
                for i in range(50):
                    channel.send(b'%d %d' % (number, i))
                    message = await channel.receive()
                    self.assertEqual(message.data, b'%d %d' % (number, i))
            return number

        async def serve():
            async for channel in server:
                self.start(echo(channel))

        async def main():
            server.listen(self.path)
            serving = self.start(serve())
            numbers = [await task for task in [self.start(client(n)) for n in range(20)]]
            server.close()
            await serving
            return numbers

        self.assertEqual(self.run_async(main()), list(range(20)))


class TestAsyncio(TestAwait):
    def run_async(self, coroutine):
        return asyncio.run(coroutine)

    def start(self, coroutine):
        return asyncio.create_task(coroutine)

    def test_wait_for_loses_nothing(self):
        first, second = self.pair()

        async def main():
            got = []
            sent = 0
            while len(got) < 100:
                if sent < 100:
                    first.send(b'%d' % sent)
                    sent += 1
                waiting = asyncio.ensure_future(self.receive(second))
                # A message may have come, and the task not know it yet, when it is cancelled.
                for _ in range(len(got) % 7):
                    await asyncio.sleep(0)
                waiting.cancel()
                try:
                    got.append((await waiting).data)
                except asyncio.CancelledError:
                    got.append((await second.receive()).data)
            return got

        self.assertEqual(asyncio.run(main()), [b'%d' % i for i in range(100)])

    def test_a_lost_message_wakes_who_waits(self):
        first, second = self.pair()

        async def main():
            given_up = asyncio.ensure_future(self.receive(second))
            waiting = asyncio.ensure_future(self.receive(second))
            await asyncio.sleep(0)
            first.send(b'the only one')
            while not second.get_messages_read():
                GLib.MainContext.default().iteration(False)
            given_up.cancel()
            return (await waiting).data

        self.assertEqual(asyncio.run(main()), b'the only one')

    def test_timeout(self):
        _first, second = self.pair()

        async def main():
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(second.receive(), 0.02)

        asyncio.run(main())

    def test_spawn(self):
        first, second = self.pair()

        async def main():
            tasks = [Usock.spawn(self.receive(second)), Usock.spawn(second.receive())]
            self.assertIsInstance(tasks[0], asyncio.Task)
            first.send(b'x')
            first.send(b'y')
            return [(await task).data for task in tasks]

        self.assertEqual(asyncio.run(main()), [b'x', b'y'])

    def test_pump(self):
        first, second = self.pair()

        async def main():
            got = asyncio.get_running_loop().create_future()
            second.connect('data', lambda _c, data: got.set_result(data))
            pumping = asyncio.create_task(Usock.pump())
            first.send(b'signalled')
            data = await asyncio.wait_for(got, fixture.DEADLINE)
            pumping.cancel()
            return data

        self.assertEqual(asyncio.run(main()), b'signalled')


class TestDriver(fixture.Case):
    def test_what_it_returns_and_raises(self):
        async def value():
            return 5

        async def error():
            raise KeyError('x')

        self.assertEqual(Usock.run(value()), 5)
        with self.assertRaises(KeyError):
            Usock.run(error())

    def test_tasks_can_be_awaited(self):
        first, second = self.pair()

        async def receive():
            return (await second.receive()).data

        async def main():
            task = Usock.spawn(receive())
            self.assertFalse(task.done())
            with self.assertRaises(RuntimeError):
                task.result()
            first.send(b'x')
            return await task, await task

        self.assertEqual(Usock.run(main()), (b'x', b'x'))

    def test_a_task_is_cancelled(self):
        first, second = self.pair()

        async def receive():
            return await second.receive()

        async def outer():
            return await Usock.spawn(receive())

        async def main():
            task = Usock.spawn(outer())
            task.cancel()
            with self.raises(Code.CANCELLED):
                await task
            first.send(b'x')
            return (await second.receive()).data

        self.assertEqual(Usock.run(main()), b'x')

    def test_only_what_usock_offers(self):
        async def main():
            class Foreign:
                def __await__(self):
                    yield 1

            with self.assertRaises(TypeError):
                await Foreign()
            return 'went on'

        self.assertEqual(Usock.run(main()), 'went on')

    def test_an_unseen_error_is_printed(self):
        seen = []
        hook, sys.excepthook = sys.excepthook, lambda *args: seen.append(args[1])
        try:
            async def fail():
                raise KeyError('unseen')

            Usock.spawn(fail())
            gc.collect()
        finally:
            sys.excepthook = hook
        self.assertEqual([type(error) for error in seen], [KeyError])

    def test_a_dropped_await_loses_nothing(self):
        first, second = self.pair()
        coroutine = self.receive(second)
        coroutine.send(None)._begin(lambda: None)
        first.send(b'x')
        coroutine.close()
        self.assertEqual(Usock.run(self.receive(second)).data, b'x')

        # And once more, dropped after the message has come.
        woken = []
        coroutine = self.receive(second)
        coroutine.send(None)._begin(lambda: woken.append(True))
        first.send(b'y')
        wait_for(lambda: woken)
        coroutine.close()
        self.assertEqual(next(second).data, b'y')

    async def receive(self, channel):
        return await channel.receive()

    def test_a_plain_for(self):
        first, second = self.pair()
        for i in range(100):
            first.send(b'%d' % i)
        first.end()
        self.assertEqual([message.data for message in second], [b'%d' % i for i in range(100)])

    def test_a_plain_for_raises(self):
        first, second = self.pair()
        second.send(b'never read')
        first.close()
        with self.raises(Code.CONNECTION_CLOSED):
            for _message in second:
                pass

    def test_a_plain_with(self):
        first, second = self.pair()
        log = Log(second, 'data', 'end', 'error', 'close')
        with first as channel:
            self.assertIs(channel, first)
            sent = 0
            while not first.get_queued_bytes():
                first.send(b'%d' % sent)
                sent += 1
        self.assertEqual(first.props.state, Usock.State.CLOSED)
        log.wait('close')
        self.assertEqual(log.names(), ['data'] * sent + ['end', 'close'])
        with Usock.Server() as server:
            server.listen(self.path)
        self.assertFalse(server.props.active)

    def test_a_plain_with_that_fails(self):
        first, _second = self.pair()
        with self.assertRaises(KeyError), first:
            raise KeyError('inside')
        self.assertEqual(first.props.state, Usock.State.CLOSED)


tap.main()
