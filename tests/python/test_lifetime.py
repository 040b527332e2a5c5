# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""An open socket keeps itself alive; scripts derive classes; interpreters exit."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading

import fixture
import tap
from fixture import Gio, GLib, GObject, Log, Usock, wait_for


class TestDropped(fixture.Case):
    def test_an_open_socket_keeps_itself_alive(self):
        first, second = Usock.Seqpacket.pair()
        got = []
        gone = []
        second.connect('data', lambda _c, data: got.append(data))
        second.connect('close', lambda _c: got.append('close'))
        second.weak_ref(lambda: gone.append(True))
        del second
        gc.collect()
        first.send(b'x')
        wait_for(lambda: got)
        gc.collect()
        self.assertFalse(gone)
        first.close()
        wait_for(lambda: 'close' in got)
        self.assertEqual(got, [b'x', 'close'])
        del first
        gc.collect()
        wait_for(lambda: gone)

    def test_paused_too(self):
        first, second = Usock.Seqpacket.pair()
        got = []
        second.connect('data', lambda _c, data: got.append(data))
        second.pause()
        weak = second.weak_ref()
        del second
        gc.collect()
        first.send(b'x')
        for _ in range(10):
            GLib.MainContext.default().iteration(False)
        self.assertEqual(got, [])
        weak().resume()
        wait_for(lambda: got)
        weak().close()
        first.close()

    def test_a_listening_server_keeps_itself_alive(self):
        accepted = []
        self.listen_and_forget(accepted)
        gc.collect()
        client = self.keep(Usock.Seqpacket())
        client.connect_to_path(self.path)
        wait_for(lambda: accepted)
        server, channel = accepted.pop()
        server.close()
        channel.close()

    def listen_and_forget(self, accepted):
        server = Usock.Server()
        server.connect('connection', lambda *args: accepted.append(args))
        server.listen(self.path)

    def test_one_that_was_never_connected_is_not(self):
        gone = []
        channel = Usock.Seqpacket()
        channel.weak_ref(lambda: gone.append(True))
        del channel
        gc.collect()
        self.assertTrue(gone)

    def test_an_accepted_channel_keeps_what_python_put_on_it(self):
        served = []
        self.serve(lambda channel: (setattr(channel, 'name', 'kept'),
                                    channel.connect('data', lambda c, _d: served.append(c.name))))
        client = self.keep(Usock.Seqpacket())
        client.connect_to_path(self.path)
        client.send(b'x')
        wait_for(lambda: served)
        self.assertEqual(served, ['kept'])

    def test_many(self):
        for _ in range(1000):
            first, second = Usock.Seqpacket.pair()
            second.connect('close', lambda _c: None)
            first.send(b'x')
            first.close()
            second.close()
        del first, second


class Shouting(Usock.Seqpacket):
    __gsignals__ = {'shouted': (GObject.SignalFlags.RUN_FIRST, None, (str,))}

    volume = GObject.Property(type=int, default=1)

    def __init__(self, **properties):
        super().__init__(**properties)
        self.heard = []
        self.connect('data', self.on_data)

    def on_data(self, _channel, data):
        self.heard.append(data)
        self.emit('shouted', data.decode().upper())


class CountingServer(Usock.Server):
    def __init__(self):
        super().__init__()
        self.count = 0
        self.connect('connection', self.on_connection)

    def on_connection(self, _server, channel):
        self.count += 1
        channel.send(b'number %d' % self.count)


class TestDerived(fixture.Case):
    def test_a_class_of_ones_own(self):
        server = self.keep(CountingServer())
        server.listen(self.path)
        channel = self.keep(Shouting(volume=3, max_fds=2))
        log = Log(channel, 'shouted')
        channel.connect_to_path(self.path)
        log.wait('shouted')
        self.assertEqual(log, [('shouted', 'NUMBER 1')])
        self.assertEqual((channel.heard, channel.volume, channel.props.max_fds),
                         ([b'number 1'], 3, 2))
        self.assertEqual(server.count, 1)

    def test_awaiting_it(self):
        class Quiet(Usock.Seqpacket):
            pass

        server = self.keep(CountingServer())
        server.listen(self.path)

        async def main():
            async with await Quiet().open(self.path) as channel:
                return type(channel), (await channel.receive()).data

        self.assertEqual(Usock.run(main()), (Quiet, b'number 1'))

    def test_abstract_bases(self):
        for base in (Usock.Socket, Usock.Channel):
            with self.assertRaises(TypeError):
                base()


class TestThread(fixture.Case):
    def test_posted_from_threads(self):
        first, second = Usock.Seqpacket.pair()
        got, errors = [], []
        second.connect('data', lambda _c, data: got.append(data))

        def work(number):
            for i in range(200):
                first.post(f'{number}:{i}')
                try:
                    first.send(b'from here')
                except GLib.Error as error:
                    errors.append(error)

        # The context is this thread's from its first turn on.
        GLib.MainContext.default().iteration(False)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(got) == 600)
        for thread in threads:
            thread.join()
        for number in range(3):
            mine = [data for data in got if data.startswith(b'%d:' % number)]
            self.assertEqual(mine, [b'%d:%d' % (number, i) for i in range(200)])
        self.assertEqual(len(errors), 600)
        self.assertTrue(all(error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_SUPPORTED)
                            for error in errors))
        first.close()
        second.close()

    def test_dropped_by_a_thread(self):
        for _ in range(50):
            sockets = [Usock.Seqpacket(), Usock.Stream(), Usock.Dgram(), Usock.Handle(),
                       Usock.Server()]
            thread = threading.Thread(target=sockets.clear)
            thread.start()
            while thread.is_alive():
                GLib.MainContext.default().iteration(False)
            thread.join()

    def test_a_thread_with_its_own_context(self):
        results = []

        def work():
            context = GLib.MainContext.new()
            context.push_thread_default()
            try:
                first, second = Usock.Seqpacket.pair()

                async def main():
                    first.send(b'in a thread')
                    return (await second.receive()).data, threading.current_thread()

                results.append(Usock.run(main()))
                results.append(results[0][1] is threading.current_thread())
                # It ends with the sockets open.
            finally:
                context.pop_thread_default()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual((results[0][0], results[1]), (b'in a thread', True))


class TestExit(fixture.Case):
    def run_script(self, script, **options):
        # A critical at exit would be one about an interpreter that is gone already.
        environment = dict(os.environ, G_DEBUG='fatal-criticals')
        return subprocess.run(
            [sys.executable, '-c', textwrap.dedent(script), self.path], env=environment,
            capture_output=True, text=True, timeout=fixture.DEADLINE, **options)

    PROLOGUE = '''
        import os, sys, gi
        gi.require_version('Usock', '1')
        from gi.repository import Gio, GLib, Usock
        path = sys.argv[1]
        context = GLib.MainContext.default()
        '''

    OPEN = '''
        server = Usock.Server()
        accepted = []
        server.connect('connection', lambda _s, c: accepted.append(c))
        server.listen(path)
        clients = [Usock.Seqpacket() for _ in range(50)]
        for client in clients:
            client.connect_to_path(path)
            client.connect('data', lambda *_: None)
            client.connect('close', lambda *_: print('never'))
        while len(accepted) < 50:
            context.iteration(True)
        for channel in accepted:
            channel.send(b'unread')
        '''

    def test_with_open_sockets(self):
        for end in ('', 'sys.exit(0)', 'del server, clients, accepted, client, channel',
                    'async def f(): await accepted[0].receive()\n        Usock.spawn(f())',
                    'accepted[0].receive_async(None, lambda *_: print("never"))',
                    'for c in clients: c.close()'):
            with self.subTest(end=end):
                result = self.run_script(self.PROLOGUE + self.OPEN + end)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))

    def test_inside_a_handler(self):
        result = self.run_script(self.PROLOGUE + self.OPEN + '''
        accepted[1].connect('data', lambda *_: sys.exit(3))
        clients[1].send(b'exit')
        while True:
            context.iteration(True)
        ''')
        self.assertEqual((result.returncode, result.stderr), (3, ''))

    def test_with_a_daemon_thread(self):
        result = self.run_script(self.PROLOGUE + '''
        import threading
        ready = threading.Event()

        def work():
            mine = GLib.MainContext.new()
            mine.push_thread_default()
            first, second = Usock.Seqpacket.pair()
            second.connect('data', lambda c, data: c.send(data))
            first.connect('data', lambda c, data: (ready.set(), c.send(data)))
            first.send(b'to and fro')
            while True:
                mine.iteration(True)

        threading.Thread(target=work, daemon=True).start()
        ready.wait()
        ''')
        self.assertEqual((result.returncode, result.stderr), (0, ''))

    def interrupt(self, script):
        process = subprocess.Popen(
            [sys.executable, '-u', '-c', textwrap.dedent(self.PROLOGUE + script), self.path],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.assertEqual(process.stdout.readline(), b'ready\n')
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=fixture.DEADLINE)
        return process.returncode, output.decode(), errors.decode()

    def test_ctrl_c(self):
        code, output, errors = self.interrupt('''
        first, second = Usock.Seqpacket.pair()

        async def main():
            with first:
                async with second:
                    GLib.idle_add(print, 'ready')
                    await second.receive()

        try:
            Usock.run(main())
        finally:
            print('state', first.props.state.value_nick)
        ''')
        self.assertIn('KeyboardInterrupt', errors)
        self.assertNotEqual(code, 0)

    def test_ctrl_c_in_a_plain_for(self):
        code, output, errors = self.interrupt('''
        first, second = Usock.Seqpacket.pair()
        GLib.idle_add(print, 'ready')
        with second:
            for message in second:
                pass
        ''')
        self.assertIn('KeyboardInterrupt', errors)

    def test_ctrl_c_in_run_until_closed(self):
        code, output, errors = self.interrupt('''
        server = Usock.Server()
        server.listen(path)
        GLib.idle_add(print, 'ready')
        try:
            Usock.run_until_closed()
        finally:
            server.close()
            print('left', os.path.exists(path))
        ''')
        self.assertIn('KeyboardInterrupt', errors)
        self.assertIn('left False', output)
        self.assertNotEqual(code, 0)

    def test_run_until_closed(self):
        result = self.run_script(self.PROLOGUE + '''
        first, second = Usock.Seqpacket.pair()
        unheld, other = Usock.Seqpacket.pair()
        unheld.props.held = other.props.held = False
        second.connect('data', lambda c, data: print(data) or c.close())
        first.send(b'x')
        Usock.run_until_closed()
        print('done', first.props.state.value_nick, unheld.props.state.value_nick)
        ''')
        self.assertEqual((result.returncode, result.stdout, result.stderr),
                         (0, "b'x'\ndone closed open\n", ''))


class TestFork(fixture.Case):
    def test_a_child_may_only_close(self):
        first, second = self.pair()
        log = Log(second, 'data', 'end', 'close')
        child = os.fork()
        if not child:
            status = 1
            try:
                first.send(b'from the child')
            except GLib.Error:
                first.close()
                second.close()
                mine, other = Usock.Seqpacket.pair()
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        first.send(b'x')
        log.wait('data')
        self.assertEqual(log, [('data', b'x')])


tap.main()
