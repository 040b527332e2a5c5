# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Tasks without asyncio: time, futures, queues, cancelling, and what leaves every loop."""

import asyncio
import functools
import gc
import queue
import signal
import subprocess
import sys
import threading
import time
from unittest import mock

import fixture
import tap
from fixture import Gio, GLib, Usock, wait_for

Code = Gio.IOErrorEnum


class TestWaiting(fixture.Case):
    """Each test here is run by Usock.run(), and in TestWaitingInAsyncio by asyncio.run()."""

    def run_async(self, coroutine):
        return Usock.run(coroutine)

    def test_sleep(self):
        async def main():
            before = time.monotonic()
            await Usock.sleep(0.03)
            self.assertGreaterEqual(time.monotonic() - before, 0.03)
            await Usock.sleep(0)

        self.run_async(main())

    def test_timeout(self):
        first, second = self.pair()

        async def main():
            with self.assertRaises(TimeoutError):
                async with Usock.timeout(0.02):
                    await second.receive()
            async with Usock.timeout(fixture.DEADLINE):
                first.send(b'x')
                self.assertEqual((await second.receive()).data, b'x')
            async with Usock.timeout(None):
                await Usock.sleep(0)
            with self.assertRaises(KeyError):
                async with Usock.timeout(1):
                    raise KeyError
            first.send(b'not lost')
            return (await second.receive()).data

        self.assertEqual(self.run_async(main()), b'not lost')

    def test_timeouts_in_each_other(self):
        async def main():
            with self.assertRaises(TimeoutError):
                async with Usock.timeout(0.02):
                    async with Usock.timeout(fixture.DEADLINE):
                        await Usock.Future()
            with self.assertRaises(TimeoutError):
                async with Usock.timeout(fixture.DEADLINE):
                    async with Usock.timeout(0.02):
                        await Usock.Future()
            await Usock.sleep(0.01)

        self.run_async(main())

    def test_what_has_come_in_time(self):
        """A handler that takes long makes no time-out."""
        first, second = self.pair()

        async def main():
            receiving = Usock.spawn(second.receive(timeout=0.05))
            await Usock.sleep(0)
            first.send(b'in time')
            time.sleep(0.1)
            return (await receiving).data

        self.assertEqual(self.run_async(main()), b'in time')

    def test_future(self):
        async def main():
            future = Usock.Future()

            async def wait():
                return await future

            tasks = [Usock.spawn(wait()) for _ in range(3)]
            await Usock.sleep(0)
            self.assertFalse(future.done())
            future.set_result('here')
            self.assertEqual([await task for task in tasks], ['here'] * 3)
            self.assertEqual(await future, 'here')
            with self.assertRaises(RuntimeError):
                future.set_result('again')
            failed = Usock.Future()
            failed.set_exception(KeyError('why'))
            with self.assertRaises(KeyError):
                await failed
            self.assertIsInstance(failed.exception(), KeyError)
            cancelled = Usock.Future()
            self.assertTrue(cancelled.cancel())
            self.assertFalse(cancelled.cancel())
            with self.raises(Code.CANCELLED):
                await cancelled

        self.run_async(main())

    def test_queue(self):
        async def main():
            items = Usock.Queue(2)

            async def produce():
                for i in range(100):
                    await items.put(i)
                await items.put(None)

            producing = Usock.spawn(produce())
            got = []
            async for item in items:
                if item is None:
                    break
                got.append(item)
            await producing
            self.assertEqual(got, list(range(100)))
            self.assertTrue(items.empty())
            with self.assertRaises(queue.Empty):
                items.get_nowait()
            items.put_nowait(1)
            items.put_nowait(2)
            with self.assertRaises(queue.Full):
                items.put_nowait(3)
            with self.assertRaises(TimeoutError):
                await items.put(3, timeout=0.01)
            self.assertEqual((items.qsize(), await items.get(), await items.get()), (2, 1, 2))
            with self.assertRaises(TimeoutError):
                await items.get(timeout=0.01)

        self.run_async(main())

    def test_a_queue_loses_nothing(self):
        async def main():
            items = Usock.Queue()
            got = []

            async def take():
                got.append(await items.get())

            for i in range(50):
                tasks = [Usock.spawn(take()) for _ in range(2)]
                await Usock.sleep(0)
                items.put_nowait(i)
                tasks[0].cancel()
                if i % 2:
                    await Usock.sleep(0)
                tasks[1].cancel()
                for task in tasks:
                    try:
                        await task
                    except (GLib.Error, asyncio.CancelledError):
                        pass
            while not items.empty():
                got.append(await items.get())
            self.assertEqual(sorted(got), list(range(50)))

        self.run_async(main())


class TestWaitingInAsyncio(TestWaiting):
    def run_async(self, coroutine):
        return asyncio.run(coroutine)


class TestTasks(fixture.Case):
    def test_cancel_wherever_it_waits(self):
        server = self.serve()
        first, second = self.pair()
        stream, _other = map(self.keep, Usock.Stream.pair())
        waits = [second.receive, stream.receive_line, server.accept, Usock.Future, Usock.Queue().get,
                 lambda: Usock.sleep(1000), lambda: second.close_gracefully(timeout=1000),
                 lambda: anext(server)]

        async def wait(start):
            await start()

        for start in waits:
            with self.subTest(start=start):
                task = Usock.spawn(wait(start))
                self.assertTrue(task.cancel())
                with self.raises(Code.CANCELLED):
                    Usock.run(task)
                self.assertFalse(task.cancel())
        first.close()

    def test_cancelling_can_be_survived(self):
        first, second = self.pair()

        async def main():
            try:
                await second.receive()
            except GLib.Error as error:
                self.is_error(error, Code.CANCELLED)
            return (await second.receive()).data

        task = Usock.spawn(main())
        task.cancel()
        wait_for(lambda: not first.get_queued_bytes())
        first.send(b'x')
        self.assertEqual(Usock.run(task), b'x')

    def test_one_that_cancels_itself(self):
        async def main():
            task.append(Usock.spawn(inner()))
            with self.raises(Code.CANCELLED):
                await task[0]

        async def inner():
            await Usock.sleep(0)
            task[0].cancel()
            await Usock.sleep(1000)

        task = []
        Usock.run(main())

    def test_steps_do_not_run_inside_each_other(self):
        order = []

        async def wait(future):
            await future
            order.append('woken')

        async def main():
            future = Usock.Future()
            task = Usock.spawn(wait(future))
            future.set_result(None)
            order.append('went on')
            await task

        Usock.run(main())
        self.assertEqual(order, ['went on', 'woken'])

    def test_a_nested_loop_in_a_task(self):
        first, second = self.pair()

        async def other():
            first.send((await first.receive()).data)

        async def main():
            Usock.spawn(other())
            second.send(b'x')
            return next(second).data

        self.assertEqual(Usock.run(main()), b'x')

    def test_tasks_that_wake_each_other_for_ever(self):
        fired = []

        async def main():
            GLib.timeout_add(10, fired.append, True)
            a, b = Usock.Queue(), Usock.Queue()

            async def play(mine, theirs):
                while not fired:
                    theirs.put_nowait(await mine.get())

            a.put_nowait('ball')
            tasks = [Usock.spawn(play(a, b)), Usock.spawn(play(b, a))]
            while not fired:
                await Usock.sleep(0)
            for task in tasks:
                task.cancel()

        Usock.run(main())

    def test_nobody_complains_of_one_that_was_cancelled(self):
        first, _second = self.pair()
        complaints = []

        async def stubborn():
            try:
                await Usock.Queue().get()
            finally:
                raise ValueError('stubborn')

        async def main():
            for coroutine in (Usock.Queue().get(), first.receive(), stubborn()):
                task = Usock.spawn(coroutine)
                await Usock.sleep(0)
                task.cancel()
                while not task.done():
                    await Usock.sleep(0)
                del task
            gc.collect()

        with mock.patch.object(sys, 'excepthook', lambda *what: complaints.append(what[0])):
            Usock.run(main())
        self.assertEqual(complaints, [ValueError])

    def test_in_another_thread(self):
        got = []

        def work():
            context = GLib.MainContext.new()
            context.push_thread_default()

            async def main():
                first, second = Usock.Seqpacket.pair()
                first.send(b'x')
                await Usock.sleep(0.01)
                got.append((await second.receive(timeout=fixture.DEADLINE)).data)
                first.close()
                second.close()

            Usock.run(main())
            context.pop_thread_default()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(got, [b'x'])


BEGIN = '''
import gi, os, signal, sys
gi.require_version('Usock', '1')
from gi.repository import Gio, GLib, Usock
first, second = Usock.Seqpacket.pair()
handle, other = Usock.Handle.pair()
path = sys.argv[1]

def fill():
    try:
        while True:
            handle.send(b'x' * 4096, timeout=0)
    except GLib.Error:
        pass

async def wait(awaitable):
    await awaitable

def full_backlog():
    listener = Usock.Handle.listening(path, backlog=1)
    handles = []
    while True:
        handles.append(Usock.Handle(Usock.Family.UNIX))
        handles[-1].open(path)

async def exit_later(number):
    await Usock.sleep(0.01)
    sys.exit(number)

def busy(_channel, data):
    first.send(data)

def serve_for_ever():
    second.connect('data', lambda channel, data: channel.send(data))
    first.connect('data', busy)
    first.send(b'x')
    Usock.run_until_closed()

try:
    print('begins', flush=True)
    {}
    print('returned')
except KeyboardInterrupt:
    print('KeyboardInterrupt')
except SystemExit as error:
    print('SystemExit', error.code)
'''

BLOCKED = '''
other.receive()
other.receive(timeout=100_000)
other.recvmsg()
other.recvmsg([1, 2])
other.recvmsg_segments([1, 2], timeout=100_000)
other.recvmsg_into(bytearray(10))
handle.send(b'x'); other.receive(10, Usock.MsgFlags.WAITALL)
fill(); handle.send(b'x')
fill(); handle.send_to(b'x', timeout=100_000)
fill(); handle.sendmsg(b'x')
Usock.poll([other])
Usock.poll([other], 100_000)
Usock.Handle.listening(path).accept()
Usock.Handle.listening(path).accept(100_000)
full_backlog()
Usock.run(second.receive())
Usock.run(wait(Usock.Future()))
Usock.run(wait(Usock.Queue().get()))
Usock.run(Usock.sleep(100))
listening = Usock.Server(); listening.listen(path); Usock.run(wait(listening.accept()))
next(second)
serve_for_ever()
Usock.run_until_closed()
'''.strip().splitlines()


class TestLeaving(fixture.Case):
    def start(self, statement):
        program = BEGIN.replace('{}', statement.replace('; ', '\n    '))
        child = subprocess.Popen([sys.executable, '-c', program, self.path],
                                 stdout=subprocess.PIPE, bufsize=0)
        self.addCleanup(child.stdout.close)
        # Without a buffer, in which communicate() would not find what came with the line.
        self.assertEqual(child.stdout.readline(), b'begins\n')
        return child

    def check_ctrl_c(self, statement):
        child = self.start(statement)
        # It waits, or naps between attempts, or is busy for good.
        until = time.monotonic() + 1
        while self.state(child) != 'S' and time.monotonic() < until:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.communicate(timeout=fixture.DEADLINE)[0], b'KeyboardInterrupt\n')

    def state(self, child):
        with open(f'/proc/{child.pid}/stat', encoding='ascii') as stat:
            return stat.read().rpartition(')')[2].split()[0]

    def test_exit(self):
        for statement in ('Usock.run(exit_later(3))',
                          'task = Usock.spawn(exit_later(3)); Usock.run(second.receive())',
                          'task = Usock.spawn(exit_later(3)); next(second)',
                          'task = Usock.spawn(exit_later(3)); Usock.run_until_closed()'):
            with self.subTest(statement=statement):
                child = self.start(statement)
                self.assertEqual(child.communicate(timeout=fixture.DEADLINE)[0], b'SystemExit 3\n')

    def test_exit_from_a_loop_of_glib(self):
        child = self.start('task = Usock.spawn(exit_later(3)); GLib.MainLoop().run()')
        child.communicate(timeout=fixture.DEADLINE)
        self.assertEqual(child.returncode, 3)


for _number, _statement in enumerate(BLOCKED):
    setattr(TestLeaving, f'test_ctrl_c_{_number:02}',
            functools.partialmethod(TestLeaving.check_ctrl_c, _statement))


tap.main()
