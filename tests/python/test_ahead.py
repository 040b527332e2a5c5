# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Messages and lines that came together are taken together, and what need not wait does not. Nobody
notices: what is not given goes back in order, to whoever asks for it and however."""

import asyncio
import os
import random

import fixture
import tap
from fixture import Gio, GLib, Log, Usock, wait_for

Code = Gio.IOErrorEnum
N = 200
NUMBERS = [str(i) for i in range(N)]


def turn():
    while GLib.MainContext.default().iteration(False):
        pass


class Packets:
    kind = Usock.Seqpacket

    @staticmethod
    def loop(channel):
        return channel

    @staticmethod
    async def receive(channel, *args, **kwargs):
        message = await channel.receive(*args, **kwargs)
        return None if message is None else message.text

    @staticmethod
    def text(message):
        return message.text

    @staticmethod
    def send(channel, words):
        for word in words:
            channel.send(word)

    @staticmethod
    def put(channel, words):
        channel.unread_messages([Usock.Message(word) for word in words])

    @staticmethod
    def joined(data):
        return [each.decode() for each in data]


class Payloads(Packets):
    @staticmethod
    def loop(channel):
        return channel.payloads()

    @staticmethod
    def text(item):
        return item.decode()


class Lines:
    kind = Usock.Stream

    @staticmethod
    def loop(stream):
        return stream.lines()

    @staticmethod
    async def receive(stream, *args, **kwargs):
        return await stream.receive_line(*args, **kwargs)

    @staticmethod
    def text(line):
        return line

    @staticmethod
    def send(stream, words):
        stream.send(''.join(f'{word}\n' for word in words))

    @staticmethod
    def put(stream, words):
        stream.unread(Usock.Message(''.join(f'{word}\n' for word in words)))

    @staticmethod
    def joined(data):
        return b''.join(data).decode().split()


class AheadCase(fixture.Case):
    shape = Packets

    def filled(self, words=NUMBERS, end=True):
        first, second = map(self.keep, self.shape.kind.pair())
        self.shape.send(first, words)
        if end:
            first.end()
        return first, second

    def loop(self, channel):
        return self.shape.loop(channel)

    def receive(self, channel, *args, **kwargs):
        return self.shape.receive(channel, *args, **kwargs)

    def text(self, item):
        return self.shape.text(item)

    async def rest(self, channel):
        return [self.text(item) async for item in self.loop(channel)]


class TestAhead(AheadCase):
    def run_async(self, coroutine):
        return Usock.run(coroutine)

    def start(self, coroutine):
        return Usock.spawn(coroutine)

    def test_loops_that_are_left_and_calls(self):
        _first, second = self.filled()

        async def main():
            got = []
            for step in range(30):
                async for item in self.loop(second):
                    got.append(self.text(item))
                    if len(got) % (step % 5 + 1) == 0:
                        break
                got.append(await self.receive(second))
            return got + await self.rest(second)

        self.assertEqual(self.run_async(main()), NUMBERS)

    def test_both_kinds_of_loop(self):
        _first, second = self.filled()
        got = []
        for step in range(20):
            for item in self.loop(second):
                got.append(self.text(item))
                if len(got) % (step % 5 + 1) == 0:
                    break
            got.append(self.run_async(self.receive(second)))
        got += self.run_async(self.rest(second))
        self.assertEqual(got, NUMBERS)

    def test_a_handler_takes_the_rest(self):
        for connect_in_loop in (True, False):
            _first, second = self.filled()
            data = []

            async def main():
                got = []
                async for item in self.loop(second):
                    got.append(self.text(item))
                    if len(got) == 50:
                        if connect_in_loop:
                            second.connect('data', lambda _channel, each: data.append(each))
                            turn()
                        break
                return got

            log = Log(second, 'end')
            got = self.run_async(main())
            if not connect_in_loop:
                second.connect('data', lambda _channel, each: data.append(each))
            log.wait('end')
            self.assertEqual(got + self.shape.joined(data), NUMBERS)

    def test_a_handler_of_any_kind(self):
        for connect in ('connect', 'connect_after', 'connect_data', 'connect_object',
                        'connect_object_after'):
            _first, second = self.filled()
            log = Log(second, 'end')
            got = [self.run_async(self.receive(second)) for _ in range(3)]
            data = []
            args = (second,) if 'object' in connect else ()
            getattr(second, connect)('data', lambda _channel, each, *_: data.append(each), *args)
            log.wait('end')
            self.assertEqual(got + self.shape.joined(data), NUMBERS)

    def test_a_handler_and_calls(self):
        """Who calls gets one; the handler is not kept from the others."""
        first, second = self.filled([], end=False)
        data = []
        second.connect('data', lambda _channel, each: data.append(each))

        async def main():
            got = []
            for i in range(10):
                waiting = self.start(self.receive(second))
                self.shape.send(first, NUMBERS[i * 20:i * 20 + 20])
                got.append(await waiting)
            return got

        got = self.run_async(main())
        wait_for(lambda: len(self.shape.joined(data)) == N - 10)
        self.assertEqual(sorted(map(int, got + self.shape.joined(data))), list(range(N)))
        self.assertEqual(got, sorted(got, key=int))
        self.assertEqual(self.shape.joined(data), sorted(self.shape.joined(data), key=int))

    def test_closed_in_the_loop(self):
        for close in (lambda c: c.close(), lambda c: c.destroy(),
                      lambda c: c.destroy(ValueError('x'))):
            _first, second = self.filled()
            got = []

            async def main():
                async for item in self.loop(second):
                    got.append(self.text(item))
                    if len(got) == 20:
                        close(second)

            with self.assertRaises(GLib.Error):
                self.run_async(main())
            self.assertEqual(got, NUMBERS[:20])

    def test_paused_in_the_loop(self):
        _first, second = self.filled()
        paused = []

        def resume():
            paused.clear()
            second.resume()

        async def main():
            got = []
            async for item in self.loop(second):
                self.assertFalse(paused)
                got.append(self.text(item))
                if len(got) % 30 == 0:
                    second.pause()
                    paused.append(True)
                    GLib.timeout_add(5, resume)
            return got

        self.assertEqual(self.run_async(main()), NUMBERS)

    def test_the_end_waits_for_the_loop(self):
        first, second = self.filled()
        log = Log(second, 'end', 'close')
        first.close()

        async def main():
            got = []
            async for item in self.loop(second):
                got.append(self.text(item))
                if len(got) % 10 == 0:
                    turn()
                if len(got) < N - 1:
                    self.assertEqual(log, [])
            return got

        self.assertEqual(self.run_async(main()), NUMBERS)
        log.wait('close')
        self.assertEqual(log.names(), ['end', 'close'])

    def test_a_reset_comes_after_what_was_taken(self):
        first, second = map(self.keep, self.shape.kind.pair())
        second.send('never read')
        self.shape.send(first, NUMBERS)
        first.close()
        got = []

        async def main():
            async for item in self.loop(second):
                got.append(self.text(item))

        with self.raises(Code.CONNECTION_CLOSED):
            self.run_async(main())
        self.assertEqual(got, NUMBERS)

    def test_many_at_once(self):
        _first, second = self.filled()

        async def take(got):
            while (item := await self.receive(second)) is not None:
                got.append(item)
            return got

        async def main():
            tasks = [self.start(take([])) for _ in range(3)]
            return [await task for task in tasks]

        got = self.run_async(main())
        for each in got:
            self.assertEqual(each, sorted(each, key=int))
        self.assertEqual(sorted(map(int, sum(got, []))), list(range(N)))

    def test_who_waits_longer_is_first(self):
        first, second = self.filled([], end=False)

        async def main():
            waiting = [self.start(self.receive(second)) for _ in range(3)]
            await Usock.sleep(0)
            self.shape.send(first, NUMBERS[:10])
            turn()
            last = [await self.receive(second) for _ in range(7)]
            return [await each for each in waiting] + last

        self.assertEqual(self.run_async(main()), NUMBERS[:10])

    def test_cancelled_and_late(self):
        _first, second = self.filled()

        async def main():
            cancellable = Gio.Cancellable()
            cancellable.cancel()
            got = []
            while True:
                with self.raises(Code.CANCELLED):
                    await self.receive(second, cancellable)
                item = await self.receive(second, Gio.Cancellable(), timeout=20)
                if item is None:
                    return got
                got.append(item)

        self.assertEqual(self.run_async(main()), NUMBERS)

    def test_others_have_their_turn(self):
        """However much is there already."""
        first, second = self.filled([], end=False)
        self.shape.put(second, [str(i) for i in range(5000)])
        first.end()
        turns = [0]

        async def tick():
            while True:
                await Usock.sleep(0)
                turns[0] += 1

        async def main():
            ticking = self.start(tick())
            most = last = n = 0
            async for _item in self.loop(second):
                n = 1 if turns[0] != last else n + 1
                last, most = turns[0], max(most, n)
            ticking.cancel()
            return most

        self.assertLess(self.run_async(main()), 2000)

    def test_it_can_be_cancelled(self):
        """However much is there already."""
        first, second = self.filled([], end=False)
        self.shape.put(second, [str(i) for i in range(1500)])
        first.end()
        got = []

        async def consume():
            await Usock.sleep(0)
            async for item in self.loop(second):
                got.append(self.text(item))
                if len(got) == 10:
                    task[0].cancel()

        async def main():
            task.append(self.start(consume()))
            with self.assertRaises((GLib.Error, asyncio.CancelledError)):
                await task[0]
            self.assertLess(len(got), 1000)
            return got + await self.rest(second)

        task = []
        self.assertEqual(self.run_async(main()), [str(i) for i in range(1500)])

    def test_cancelled_at_any_time(self):
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        first, second = self.filled([], end=False)
        got = []

        async def consume(most):
            async for item in self.loop(second):
                got.append(self.text(item))
                most -= 1
                if most == 0:
                    break

        async def main():
            sent = 0
            while sent < 1000 or len(got) < sent:
                more = min(chance.randrange(60), 1000 - sent)
                task = self.start(consume(chance.randrange(1, 50)))
                self.shape.send(first, [str(i) for i in range(sent, sent + more)])
                sent += more
                for _ in range(chance.randrange(4)):
                    await Usock.sleep(0)
                task.cancel()
                try:
                    await task
                except (GLib.Error, asyncio.CancelledError):
                    pass
            first.end()
            return await self.rest(second)

        self.assertEqual(self.run_async(main()), [], f'seed {seed}')
        self.assertEqual(got, [str(i) for i in range(1000)], f'seed {seed}')


class TestLinesAhead(TestAhead):
    shape = Lines


class TestAheadPayloads(TestAhead):
    shape = Payloads


class OnAsyncio(TestAhead):
    def run_async(self, coroutine):
        return asyncio.run(coroutine)

    def start(self, coroutine):
        return asyncio.create_task(coroutine)

    def test_a_call_is_what_asyncio_takes(self):
        first, second = self.filled(NUMBERS[:4])

        async def main():
            tasks = [asyncio.create_task(self.receive(second)), self.receive(second)]
            got = await asyncio.gather(*tasks)
            got.append(await asyncio.wait_for(self.receive(second), 20))
            done, _ = await asyncio.wait([asyncio.create_task(self.receive(second))])
            got += [task.result() for task in done]
            await asyncio.gather(*[second.send_async(b'%d' % i) for i in range(200)])
            return got

        self.assertEqual(self.run_async(main()), NUMBERS[:4])
        for i in range(200 if self.shape.kind is Usock.Seqpacket else 0):
            self.assertEqual(next(first).data, b'%d' % i)


class OnAsyncioLines(OnAsyncio):
    shape = Lines


class OnAsyncioPayloads(OnAsyncio):
    shape = Payloads


class TestByHand(fixture.Case):
    def test_messages(self):
        first, second = self.pair()
        Packets.send(first, NUMBERS)

        async def main():
            got = []
            while len(got) < N:
                messages = second.take_messages()
                if not messages:
                    got.append((await second.receive()).text)
                elif len(messages) > 3:
                    second.unread_messages(messages[1:])
                    got.append(messages[0].text)
                else:
                    got += [message.text for message in messages]
            return got

        self.assertEqual(Usock.run(main()), NUMBERS)

    def test_payloads(self):
        first, second = self.pair()
        Packets.send(first, NUMBERS)

        async def main():
            got = []
            while len(got) < N:
                payloads = second.take_payloads(5)
                self.assertLessEqual(len(payloads), 5)
                got += payloads or [(await second.receive()).data]
            return got

        self.assertEqual([data.decode() for data in Usock.run(main())], NUMBERS)

    def test_payloads_without_an_event_loop(self):
        first, second = self.pair()
        Packets.send(first, NUMBERS)
        first.end()
        self.assertEqual([data.decode() for data in second.payloads()], NUMBERS)

    def test_payloads_leave_descriptors_to_who_takes_messages(self):
        first, second = self.pair()
        second.set_max_fds(1)

        async def main():
            for _ in range(3):
                first.send(b'plain')
            for _ in range(2):
                first.send(b'rich', fds=[2])
            async for data in second.payloads():
                self.assertEqual(data, b'plain')
                break
            rest = []
            while len(rest) < 2:
                message = await second.receive()
                if message.data == b'rich':
                    rest.append(message.get_n_fds())
            first.send(b'rich', fds=[2])
            async for data in second.payloads():
                self.assertEqual(data, b'rich')
                break
            return rest

        self.assertEqual(Usock.run(main()), [1, 1])

    def test_what_was_put_back_is_first(self):
        first, second = self.pair()
        Packets.send(first, NUMBERS[:9])

        async def main():
            one = await second.receive()
            two = await second.receive()
            second.unread_messages([one, two])
            return [(await second.receive()).text for _ in range(9)]

        self.assertEqual(Usock.run(main()), NUMBERS[:9])

    def test_a_callback_is_in_line(self):
        first, second = self.pair()
        Packets.send(first, NUMBERS[:9])
        got = []

        def received(channel, result):
            got.append(channel.receive_finish(result).text)

        async def main():
            got.append((await second.receive()).text)
            got.append((await second.receive()).text)
            second.receive_async(None, received)
            turn()
            for _ in range(6):
                got.append((await second.receive()).text)

        Usock.run(main())
        self.assertEqual(got, NUMBERS[:9])

    def test_messages_keep_what_came_along(self):
        first, second = self.pair()
        second.set_max_fds(2)
        for i in range(20):
            with open('/dev/null') as null:
                first.send(b'%d' % i, fds=[null] * (i % 3))

        async def main():
            got = []
            for i in range(20):
                message = await second.receive()
                got.append((message.data, message.get_n_fds()))
                if i == 10:
                    second.unread_messages([message])
                    message = await second.receive()
                    self.assertEqual(message.get_n_fds(), 1)
                message.close_fds()
            return got

        self.assertEqual(Usock.run(main()), [(b'%d' % i, i % 3) for i in range(20)])

    def test_what_is_not_received_is_closed(self):
        """The descriptors of all messages, when the channel goes."""
        first, second = self.pair()
        second.set_max_fds(1)
        for i in range(20):
            with open('/dev/null') as null:
                first.send(b'%d' % i, fds=[null])
        for i in range(3):
            Usock.run(second.receive()).close_fds()
        second.close()
        first.close()

    def test_lines_and_bytes(self):
        first, second = map(self.keep, Usock.Stream.pair())
        first.send('one\r\ntwo\nthree\r\nfour\nfive\n1234rest')

        async def main():
            self.assertEqual(await second.receive_line(), 'one')
            self.assertEqual((second.get_line_ending(), second.was_cut_off()), ('\r\n', False))
            self.assertEqual(await second.receive_line(), 'two')
            self.assertEqual(second.get_line_ending(), '\n')
            async for line in second.lines():
                self.assertEqual((line, second.get_line_ending()), ('three', '\r\n'))
                break
            self.assertEqual((await second.receive_line_bytes()).text, 'four')
            self.assertEqual((await second.receive_until('4')).text, 'five\n123')
            second.unread(Usock.Message(b'more\r\n'))
            self.assertEqual(await second.receive_line(), 'more')
            self.assertEqual((await second.receive_exactly(2)).text, 're')
            self.assertIsNone(second.get_line_ending())
            first.end()
            self.assertEqual(await second.receive_line(), 'st')
            self.assertEqual((second.get_line_ending(), second.was_cut_off()), (None, True))

        Usock.run(main())

    def test_lines_by_hand(self):
        first, second = map(self.keep, Usock.Stream.pair())
        first.send('one\ntwo\nthree\r\nfour\nfive')
        self.assertEqual(Usock.run(second.receive_line()), 'one')
        self.assertEqual(Usock.run(second.receive_line()), 'two')
        self.assertEqual(second.take_lines(), ['three\r\n', 'four\n'])

    def test_given_away_in_the_loop(self):
        first, second = map(self.keep, Usock.Stream.pair())
        first.send('one\ntwo\r\nthree\nfour')
        for line in second.lines():
            self.assertEqual(line, 'one')
            break
        self.assertEqual(Usock.run(second.receive_line()), 'two')
        connection, unread = second.steal_connection()
        self.assertEqual(unread, b'three\nfour')
        connection.close()


class TestSending(fixture.Case):
    def full(self, kind=Usock.Seqpacket):
        first, second = map(self.keep, kind.pair())
        n = 0
        while not first.get_queued_bytes():
            first.send(b'%05d' % n + bytes(995))
            n += 1
        return first, second, n

    def test_nothing_is_overtaken(self):
        first, second, n = self.full()

        async def main():
            await asyncio.gather(*[first.send_async(b'%05d' % i + bytes(995))
                                   for i in range(n, n + 500)], first.end_async(), take())

        async def take():
            async for message in second:
                got.append(int(message.data[:5]))

        got = []
        asyncio.run(main())
        self.assertEqual(got, list(range(n + 500)))

    def test_calls_complete_in_order(self):
        first, second, n = self.full()
        done = []

        async def send(i):
            await first.send_async(b'%05d' % i)
            done.append(i)

        async def main():
            tasks = [asyncio.create_task(send(i)) for i in range(100)]
            await asyncio.sleep(0)
            second.connect('data', lambda *_: None)
            while not done:
                await asyncio.sleep(0)
            tasks += [asyncio.create_task(send(i)) for i in range(100, 200)]
            await asyncio.wait(tasks)

        asyncio.run(main())
        self.assertEqual(done, list(range(200)))

    def test_a_stream_takes_a_part(self):
        first, second = map(self.keep, Usock.Stream.pair())
        data = os.urandom(3_000_000)

        async def main():
            async def take():
                got = b''
                while len(got) < len(data):
                    got += (await second.receive()).data
                return got

            taking = Usock.spawn(take())
            self.assertTrue(await first.send_async(data))
            self.assertEqual(first.get_queued_bytes(), 0)
            return await taking

        self.assertEqual(Usock.run(main()), data)

    def test_errors_are_those_of_send(self):
        first, second = self.pair()

        async def fails(channel, data, **kwargs):
            try:
                await channel.send_async(data, **kwargs)
            except GLib.Error as error:
                return type(error), error.code, error.message
            return None

        async def compare():
            for channel, data in ((Usock.Seqpacket(), b'x'), (first, bytes(8_000_000)),
                                  (closed, b'x'), (gone, b'x')):
                with self.subTest(channel=channel):
                    try:
                        channel.send(data)
                        expected = None
                    except GLib.Error as error:
                        expected = type(error), error.code, error.message
                    self.assertIsNotNone(expected)
                    self.assertEqual(await fails(channel, data), expected)
            cancellable = Gio.Cancellable()
            cancellable.cancel()
            error = await fails(first, b'x', cancellable=cancellable)
            self.assertEqual(error[1], Code.CANCELLED.real)
            with self.assertRaises(TypeError):
                await first.send_async(5)

        closed = self.pair()[0]
        closed.close()
        gone, peer = self.pair()
        gone.set_allow_half_open(True)
        peer.close()
        Usock.run(compare())
        self.assertEqual(first.get_messages_written(), 0)

    def test_others_have_their_turn(self):
        first, second = self.pair()
        second.connect('data', lambda *_: None)
        turns = []

        async def tick():
            while True:
                await asyncio.sleep(0)
                turns.append(True)

        async def main():
            ticking = asyncio.create_task(tick())
            for _ in range(1000):
                await first.send_async(b'x')
            ticking.cancel()

        asyncio.run(main())
        self.assertGreater(len(turns), 5)


tap.main()
