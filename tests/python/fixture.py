# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the Python tests of usock share: an empty directory, waiting, and no descriptor left."""

import gc
import os
import tempfile
import unittest

import gi

# The others open sockets of their own, some not before the context is iterated.
os.environ['GIO_USE_NETWORK_MONITOR'] = 'base'

gi.require_version('Usock', '1')
from gi.repository import Gio, GLib, GObject, Usock  # noqa: E402,F401

SLOW = 30 if 'USOCK_TEST_SLOW' in os.environ else 1
DEADLINE = 20 * SLOW


def open_fds():
    fds = {}
    for name in os.listdir('/proc/self/fd'):
        try:
            fds[int(name)] = os.readlink(f'/proc/self/fd/{name}')
        except FileNotFoundError:
            pass  # The one that listed the directory.
    return fds


def wait_for(condition, what='what was waited for', deadline=DEADLINE):
    context = GLib.MainContext.ref_thread_default()
    late = []
    timer = GLib.timeout_source_new_seconds(deadline)
    timer.set_callback(lambda *_: late.append(True))
    timer.attach(context)
    try:
        while not condition():
            if late:
                raise AssertionError(f'{what} did not happen in {deadline} s')
            context.iteration(True)
    finally:
        timer.destroy()


class Log(list):
    """What a socket emitted, in order."""

    def __init__(self, socket, *signals):
        super().__init__()
        for signal in signals or ('connect', 'data', 'end', 'error', 'close'):
            socket.connect(signal, self._add, signal)

    def _add(self, _socket, *args):
        *values, signal = args
        self.append((signal, *values))

    def names(self):
        return [entry[0] for entry in self]

    def wait(self, signal, n=1):
        wait_for(lambda: self.names().count(signal) >= n, f'{n} x {signal} in {self.names()}')
        return self


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix='usock-')
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.path = os.path.join(self.directory, 'socket')
        self._sockets = []
        # What the main context and the reactor keep for good is made before it is counted.
        first, second = Usock.Seqpacket.pair()
        log = Log(first, 'close')
        first.close()
        second.close()
        log.wait('close')
        del first, second, log
        gc.collect()
        self._before = open_fds()

    def tearDown(self):
        while self._sockets:
            self._sockets.pop().close()
        self.no_fd_is_left()

    def no_fd_is_left(self):
        def same():
            gc.collect()
            return open_fds() == self._before
        # Closing a descriptor that may block is done in another thread, of which nothing is heard.
        tick = GLib.timeout_add(10, lambda: True)
        try:
            wait_for(same, deadline=3 * SLOW)
        except AssertionError:
            left = {fd: link for fd, link in open_fds().items() if fd not in self._before}
            raise AssertionError(f'descriptors left open: {left}') from None
        finally:
            GLib.source_remove(tick)

    def keep(self, socket):
        """Closes the socket when the test is over."""
        self._sockets.append(socket)
        return socket

    def pair(self):
        first, second = Usock.Seqpacket.pair()
        return self.keep(first), self.keep(second)

    def serve(self, on_connection=None, **properties):
        server = self.keep(Usock.Server(**properties))
        if on_connection:
            server.connect('connection', lambda _server, channel: on_connection(channel))
        server.listen(self.path)
        return server

    def accept_one(self, **properties):
        """Returns both ends of a connection over a path."""
        accepted = []
        server = self.serve(accepted.append, **properties)
        client = self.keep(Usock.Seqpacket())
        client.connect_to_path(self.path)
        wait_for(lambda: accepted)
        server.close()
        return client, self.keep(accepted[0])

    def raises(self, code, *words):
        return _Raises(self, code, words)

    def is_error(self, error, code, *words):
        self.assertIsInstance(error, GLib.Error)
        self.assertTrue(error.matches(Gio.io_error_quark(), code),
                        f'{error!r} is not {code.value_nick}')
        for word in words:
            self.assertIn(word, error.message)


class _Raises:
    """A GError with this code, and with these words in its text."""

    def __init__(self, case, code, words):
        self.case, self.code, self.words = case, code, words

    def __enter__(self):
        return self

    def __exit__(self, _type, error, _traceback):
        if error is None:
            raise AssertionError(f'no error {self.code.value_nick}')
        if not isinstance(error, GLib.Error):
            return False
        self.error = error
        self.case.is_error(error, self.code, *self.words)
        return True
