# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The main context is the guest of whatever loop of asyncio runs: nothing polls, and all is alive."""

import asyncio
import contextlib
import gc
import os
import threading
import time

import fixture
import tap
from fixture import Gio, GLib, Usock

try:
    import uvloop
except ImportError:
    uvloop = None
try:
    from gi import events
except ImportError:
    events = None

Code = Gio.IOErrorEnum


async def some_turns():
    """Long enough for whatever is ready to be seen."""
    for _ in range(10):
        await asyncio.sleep(0)


class AsyncioCase(fixture.Case):
    """Each test here is run by the loop of asyncio, and in TestUvloop by another one."""

    def setUp(self):
        # What loops and the resolver keep for good.
        self.new_loop().close()
        with contextlib.suppress(GLib.Error):
            Usock.run(Usock.Stream().open('localhost:1'))
        super().setUp()

    def new_loop(self):
        return asyncio.new_event_loop()

    def run_async(self, coroutine):
        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            return runner.run(asyncio.wait_for(coroutine, fixture.DEADLINE))


class TestAsyncio(AsyncioCase):
    def test_signals_are_alive(self):
        async def main():
            got = asyncio.get_running_loop().create_future()
            server = self.serve(lambda channel: channel.connect('data', self.echo))
            client = self.keep(Usock.Seqpacket())
            client.connect('data', lambda _channel, data: got.set_result(data))
            client.connect_to_path(self.path)
            client.send(b'hello')
            self.assertEqual(await got, b'hello')
            ended = asyncio.Event()
            server.connect('close', lambda _server: ended.set())
            client.close()
            server.close()
            await ended.wait()

        self.run_async(main())

    def echo(self, channel, data):
        channel.send(data)

    def test_sockets_of_before_are_alive(self):
        got = []
        first, second = self.pair()
        second.connect('data', lambda _channel, data: got.append(data))

        async def main():
            if uvloop and isinstance(asyncio.get_running_loop(), uvloop.Loop):
                # Nothing tells that this one runs. Whatever is awaited, or connected, does.
                await first.flush()
            first.send(b'x')
            while not got:
                await asyncio.sleep(0.01)

        for _ in range(2):
            self.run_async(main())
            self.assertEqual(got, [b'x'])
            got.clear()

    def test_a_handler_that_comes_late(self):
        first, second = self.pair()

        async def main():
            first.send(b'early')
            await some_turns()
            got = asyncio.get_running_loop().create_future()
            second.connect('data', lambda _channel, data: got.set_result(data))
            return await got

        self.assertEqual(self.run_async(main()), b'early')

    def test_what_is_queued_leaves(self):
        first, second = self.pair()

        async def main():
            n_sent = 0
            while not first.get_queued_bytes():
                first.send(b'%d' % n_sent)
                n_sent += 1
            got = []
            second.connect('data', lambda _channel, data: got.append(data))
            while len(got) < n_sent:
                await asyncio.sleep(0.01)
            self.assertEqual(got, [b'%d' % i for i in range(n_sent)])

        self.run_async(main())

    def test_timeouts_of_sockets(self):
        first, _second = self.pair()

        async def main():
            idle = asyncio.Event()
            first.connect('timeout', lambda _channel: idle.set())
            first.set_idle_timeout(20)
            await idle.wait()

        self.run_async(main())

    def test_another_thread_wakes_it(self):
        def wake(sleeper, wakes):
            # A thread that only waits for its turn sleeps too, but not while nobody else runs.
            asleep, until = 0, time.monotonic() + fixture.DEADLINE
            while asleep < 3 and time.monotonic() < until:
                time.sleep(0.001)
                asleep = asleep + 1 if self.state(sleeper) == 'S' else 0
            GLib.idle_add(wakes)

        async def main():
            got = asyncio.Event()
            self.pair()
            thread = threading.Thread(target=wake, args=(threading.get_native_id(), got.set))
            thread.start()
            await got.wait()
            thread.join()

        self.run_async(main())

    def state(self, thread):
        with open(f'/proc/self/task/{thread}/stat', encoding='ascii') as stat:
            return stat.read().rpartition(')')[2].split()[0]

    def test_names_are_looked_up(self):
        async def main():
            server = self.keep(Usock.Server(socket_type=Gio.SocketType.STREAM))
            server.listen('127.0.0.1:0')
            port = server.get_local_address().get_port()
            async with await Usock.Stream().open(f'localhost:{port}') as client:
                async with await server.accept() as served:
                    served.send('found')
                    self.assertEqual((await client.receive()).text, 'found')
            server.close()

        self.run_async(main())

    def test_nothing_polls(self):
        first, second = self.pair()

        async def main():
            waiting = asyncio.create_task(second.receive())
            await asyncio.sleep(0.1)
            before = self.wakings()
            await asyncio.sleep(1)
            self.assertLess(self.wakings() - before, 20)
            first.send(b'x')
            return (await waiting).data

        self.assertEqual(self.run_async(main()), b'x')

    def wakings(self):
        with open('/proc/thread-self/status', encoding='ascii') as status:
            lines = [line.split() for line in status]
        return sum(int(line[1]) for line in lines if line[0] == 'voluntary_ctxt_switches:')

    def test_many_messages_each_way(self):
        async def main():
            server = self.keep(Usock.Server())
            server.listen(self.path)

            async def serve():
                async for channel in server:
                    channel.connect('data', self.echo)

            serving = asyncio.create_task(serve())
            async with await Usock.Seqpacket().open(self.path) as client:
                for i in range(500):
                    client.send(b'%d' % i)
                    self.assertEqual((await client.receive(timeout=20)).data, b'%d' % i)
            server.close()
            await serving

        self.run_async(main())

    def test_a_plain_for_inside(self):
        first, second = self.pair()

        async def main():
            for i in range(3):
                first.send(b'%d' % i)
            first.end()
            self.assertEqual([m.data for m in second], [b'0', b'1', b'2'])
            with self.assertRaises(RuntimeError):
                Usock.run(second.receive())
            return 'went on'

        self.assertEqual(self.run_async(main()), 'went on')

    def test_the_context_is_free_afterwards(self):
        first, second = self.pair()

        async def main():
            first.send(b'x')
            await second.receive()

        self.run_async(main())
        gc.collect()
        taken = []

        def take():
            context = GLib.MainContext.default()
            taken.append(context.acquire())
            if taken[0]:
                context.release()

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        self.assertEqual(taken, [True])


class TestTaking(AsyncioCase):
    """Calls are coroutines, for all that asyncio does with those."""

    def test_tasks_and_groups(self):
        first, second = self.pair()

        async def main():
            task = asyncio.create_task(second.receive())
            first.send(b'1')
            self.assertEqual((await task).data, b'1')
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(second.receive()), group.create_task(first.receive())]
                first.send(b'2')
                second.send(b'3')
            self.assertEqual([task.result().data for task in tasks], [b'2', b'3'])
            waiting = asyncio.create_task(second.receive())
            first.send(b'4')
            done, pending = await asyncio.wait([waiting])
            self.assertEqual((done, pending), ({waiting}, set()))
            first.send(b'5')
            second.send(b'6')
            got = await asyncio.gather(second.receive(), first.receive())
            self.assertEqual([message.data for message in got], [b'5', b'6'])

        self.run_async(main())

    def test_all_of_them(self):
        first, second = self.pair()
        stream, _other = map(self.keep, Usock.Stream.pair())
        server = self.serve()
        dgram = self.keep(Usock.Dgram())
        calls = [first.receive(), first.send_async(b''), first.flush(), first.end_async(),
                 first.close_gracefully(1), Usock.Seqpacket().open(self.path),
                 first.receive_async(), stream.receive_exactly(1), stream.receive_line(),
                 stream.receive_text(), stream.open_host('localhost', 1), server.accept(),
                 server.close_gracefully(1), dgram.send_to_async(b'', self.path),
                 Usock.sleep(0), Usock.Queue().get(), Usock.Queue().put(1)]
        for call in calls:
            with self.subTest(call=call):
                self.assertTrue(asyncio.iscoroutine(call))
            call.close()

    def test_the_second_to_await_one_is_refused(self):
        first, second = self.pair()

        async def main():
            call = second.receive()

            async def wait():
                return (await call).data

            one = asyncio.create_task(wait())
            await asyncio.sleep(0)
            with self.assertRaises(RuntimeError):
                await call
            first.send(b'x')
            self.assertEqual(await one, b'x')

        self.run_async(main())

    def test_an_accept_loop_survives_its_timeouts(self):
        async def main():
            server = self.serve()
            accepting = aiter(server)
            for _ in range(2):
                with self.assertRaises(TimeoutError):
                    await asyncio.wait_for(anext(accepting), 0.02)
                with self.assertRaises(TimeoutError):
                    await server.accept(timeout=0.02)
                with Usock.Seqpacket() as client:
                    client.connect_to_path(self.path)
                    (await anext(accepting)).close()
            waiting = asyncio.create_task(server.accept())
            await asyncio.sleep(0)
            server.close()
            with self.raises(Code.CLOSED):
                await waiting
            with self.raises(Code.CLOSED):
                await server.accept()
            self.assertEqual([channel async for channel in server], [])

        self.run_async(main())

    def test_a_connection_that_nobody_waits_for_closes_with_the_server(self):
        async def main():
            server, client = self.serve(), self.keep(Usock.Seqpacket())
            log = fixture.Log(server, 'close')
            waiting = asyncio.create_task(server.accept())
            await asyncio.sleep(0)
            client.connect_to_path(self.path)
            fixture.wait_for(lambda: len(server) == 1)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            server.close()
            self.assertIsNone(await client.receive(timeout=5))
            log.wait('close')
            with self.raises(Code.CLOSED):
                await server.accept()

        self.run_async(main())

    def test_a_connection_is_tried_again_when_the_time_is_over(self):
        async def main():
            server = self.keep(Usock.Handle.listening(self.path, Usock.SockType.SEQPACKET, 1))
            for _ in range(2):
                self.keep(Usock.Handle.connected(self.path, Usock.SockType.SEQPACKET))
            client = self.keep(Usock.Seqpacket())
            for _ in range(2):
                with self.assertRaises(TimeoutError):
                    await client.open(self.path, timeout=0.02)
                with self.assertRaises(TimeoutError):
                    await asyncio.wait_for(client.open(self.path), 0.02)
            self.keep(server.accept()[0])
            await client.open(self.path, timeout=5)

        self.run_async(main())

    def test_leaving_a_loop_closes_nothing(self):
        first, second = self.pair()

        async def main():
            server = self.serve()
            clients = [self.keep(Usock.Seqpacket()) for _ in range(3)]
            for client in clients:
                client.connect_to_path(self.path)
            async for channel in server:
                self.keep(channel)
                break
            first.send(b'1')
            first.send(b'2')
            async for _message in second:
                break
            self.assertEqual(second.get_state(), Usock.State.OPEN)
            self.assertEqual((await second.receive()).data, b'2')
            for _ in range(2):
                self.keep(await server.accept())
            self.assertEqual(len(server), 3)

        self.run_async(main())

    def test_timeouts_of_calls(self):
        first, second = self.pair()
        first.set_queue_limit(0)

        async def main():
            with self.assertRaises(TimeoutError):
                await second.receive(timeout=0.02)
            with self.assertRaises(TimeoutError):
                while True:
                    await first.send_async(bytes(4000), timeout=0.02)
            self.assertEqual(len(await second.receive(timeout=0)), 4000)

        self.run_async(main())

    def test_the_last_of_all_is_not_lost(self):
        """It had come, and so had the end, when the task was cancelled."""
        cases = [(Usock.Seqpacket, 'receive', (), ()), (Usock.Stream, 'receive', (), ()),
                 (Usock.Stream, 'receive_line', (), ()), (Usock.Stream, 'receive_text', (), ()),
                 (Usock.Stream, 'receive_exactly', (4,), ())]

        async def main():
            for listens in (False, True):
                for kind, name, args, _ in cases:
                    first, second = map(self.keep, kind.pair())
                    if listens:
                        second.connect('end', lambda _channel: None)
                        second.connect('close', lambda _channel: None)
                    task = asyncio.create_task(getattr(second, name)(*args))
                    await asyncio.sleep(0)
                    first.send('last')
                    first.end()
                    for _ in range(20):
                        GLib.MainContext.default().iteration(False)
                    task.cancel()
                    with self.assertRaises(asyncio.CancelledError):
                        await task
                    got = await getattr(second, name)(*args, timeout=20)
                    self.assertEqual(got if isinstance(got, str) else got.text, 'last')
                    self.assertIsNone(await getattr(second, name)(*args, timeout=20))

        self.run_async(main())

    def test_the_next_in_line_may_want_something_else(self):
        first, second = map(self.keep, Usock.Stream.pair())

        async def main():
            for i in range(20):
                given_up = asyncio.create_task(second.receive_exactly(6))
                waiting = asyncio.create_task(second.receive_line())
                await asyncio.sleep(0)
                first.send(f'{i:03}\nab')
                for _ in range(i % 5):
                    GLib.MainContext.default().iteration(False)
                given_up.cancel()
                self.assertEqual(await asyncio.wait_for(waiting, 20), f'{i:03}')
                self.assertEqual((await second.receive_exactly(2, timeout=20)).data, b'ab')

        self.run_async(main())

    def test_what_ended_a_line(self):
        first, second = map(self.keep, Usock.Stream.pair())

        async def main():
            for receive in (second.receive_line, second.receive_line_bytes):
                given_up = asyncio.create_task(receive())
                await asyncio.sleep(0)
                first.send(b'abc\r\nrest')
                for _ in range(20):
                    GLib.MainContext.default().iteration(False)
                given_up.cancel()
                self.assertEqual((await second.receive_exactly(9, timeout=20)).data,
                                 b'abc\r\nrest')

        self.run_async(main())

    def test_what_waits_is_not_given_away(self):
        first, second = self.pair()

        async def main():
            given_up = asyncio.create_task(second.receive())
            await asyncio.sleep(0)
            first.send(b'x')
            for _ in range(20):
                GLib.MainContext.default().iteration(False)
            given_up.cancel()
            await asyncio.wait([given_up])
            with self.raises(Code.PENDING):
                second.steal_fd()
            self.assertEqual((await second.receive()).data, b'x')
            fd, unread = second.steal_fd()
            os.close(fd)
            self.assertEqual(unread, b'')

        self.run_async(main())

    def test_several_that_are_cancelled(self):
        first, second = self.pair()

        async def main():
            for order in (1, -1):
                tasks = [asyncio.create_task(second.receive()) for _ in range(5)]
                await asyncio.sleep(0)
                for i in range(5):
                    first.send(b'%d' % i)
                for _ in range(20):
                    GLib.MainContext.default().iteration(False)
                for task in tasks[::order]:
                    task.cancel()
                await asyncio.wait(tasks)
                got = [(await second.receive(timeout=20)).data for _ in range(5)]
                self.assertEqual(got, [b'%d' % i for i in range(5)])

        self.run_async(main())


if uvloop:
    class OnUvloop(AsyncioCase):
        def new_loop(self):
            return uvloop.new_event_loop()

    class TestUvloop(OnUvloop, TestAsyncio):
        pass

    class TestTakingOnUvloop(OnUvloop, TestTaking):
        pass


if events:
    class OnGLib(AsyncioCase):
        """PyGObject's own loop of the main context, which needs no guest."""

        def new_loop(self):
            return events.GLibEventLoopPolicy().get_event_loop()

    class TestOnGLib(OnGLib, TestAsyncio):
        pass

    class TestTakingOnGLib(OnGLib, TestTaking):
        pass


class TestGLibTimeouts(fixture.Case):
    def test_what_others_add_is_seen(self):
        async def main():
            self.pair()
            await some_turns()
            got = asyncio.Event()
            GLib.timeout_add(10, got.set)
            await asyncio.wait_for(got.wait(), fixture.DEADLINE)

        asyncio.run(main())


tap.main()
