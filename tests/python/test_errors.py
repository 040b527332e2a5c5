# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""An error is a GLib.Error and what Python has for it, wherever it comes from."""

import errno
import os
import pathlib
import select
import socket

import fixture
import tap
from fixture import Gio, GLib, Usock, wait_for

Code = Gio.IOErrorEnum


class TestKinds(fixture.Case):
    def check(self, kind, number, code, call):
        with self.assertRaises(kind) as caught:
            call()
        error = caught.exception
        self.assertIsInstance(error, OSError)
        self.assertIsInstance(error, Usock.Error)
        self.is_error(error, code)
        self.assertEqual((error.errno, error.strerror), (number, error.message))
        self.assertIn(error.message, str(error))

    def test_connecting(self):
        def refused():
            return Usock.Seqpacket().connect_to_path(self.path)

        self.check(FileNotFoundError, errno.ENOENT, Code.NOT_FOUND, refused)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
            stale.bind(self.path)
        self.check(ConnectionRefusedError, errno.ECONNREFUSED, Code.CONNECTION_REFUSED, refused)
        self.check(ConnectionRefusedError, errno.ECONNREFUSED, Code.CONNECTION_REFUSED,
                   lambda: Usock.run(Usock.Seqpacket().open(self.path)))
        self.check(ConnectionRefusedError, errno.ECONNREFUSED, Code.CONNECTION_REFUSED,
                   lambda: Usock.Handle.connected(self.path, Usock.SockType.SEQPACKET))
        self.check(NotADirectoryError, errno.ENOTDIR, Code.NOT_DIRECTORY,
                   lambda: Usock.Server().listen(self.path + '/x'))

    def test_receiving(self):
        first, second = self.pair()
        self.check(TimeoutError, errno.ETIMEDOUT, Code.TIMED_OUT,
                   lambda: Usock.run(second.receive(timeout=0.01)))
        second.send(b'never read')
        first.close()
        self.check(ConnectionResetError, errno.ECONNRESET, Code.CONNECTION_CLOSED,
                   lambda: next(second))
        stream, other = map(self.keep, Usock.Stream.pair())
        other.send(b'x')
        other.end()
        self.check(EOFError, errno.ENODATA, Code.PARTIAL_INPUT,
                   lambda: Usock.run(stream.receive_exactly(2)))
        handle, _other = map(self.keep, Usock.Handle.pair())
        self.check(BlockingIOError, errno.EAGAIN, Code.WOULD_BLOCK,
                   lambda: handle.receive(timeout=0))
        self.check(TimeoutError, errno.ETIMEDOUT, Code.TIMED_OUT,
                   lambda: handle.receive(timeout=10))

    def test_sending(self):
        first, second = self.pair()
        self.check(OSError, errno.EMSGSIZE, Code.MESSAGE_TOO_LARGE,
                   lambda: first.send(bytes(64 << 20)))
        self.check(OSError, errno.ENOTCONN, Code.NOT_CONNECTED, lambda: Usock.Seqpacket().send(b''))
        second.close()
        wait_for(lambda: second.get_state() == Usock.State.CLOSED)
        self.check(OSError, errno.EBADF, Code.CLOSED, lambda: second.send(b''))

    def test_cancelling_is_no_failure_of_the_system(self):
        _first, second = self.pair()
        task = Usock.spawn(second.receive())
        task.cancel()
        with self.raises(Code.CANCELLED) as caught:
            Usock.run(task)
        self.assertNotIsInstance(caught.error, OSError)

    def test_in_a_signal(self):
        first, second = self.pair()
        errors = []

        def handle(_channel, error):
            errors.append(error)

        second.connect('error', handle)
        second.connect('error', handle)
        second.disconnect_by_func(handle)
        second.send(b'never read')
        first.close()
        wait_for(lambda: errors)
        wait_for(lambda: second.get_state() == Usock.State.CLOSED)
        self.assertEqual([type(error).__name__ for error in errors], ['ConnectionResetError'])
        self.assertIsInstance(errors[0], ConnectionResetError)

    def test_unnamed(self):
        """Who sends without a name can not be answered."""
        receiver, sender = self.keep(Usock.Dgram()), self.keep(Usock.Dgram())
        receiver.bind(self.path)
        sender.send_to(b'who am I', self.path)
        message = next(receiver)
        self.assertIsNone(message.sender)
        for call in (lambda: receiver.send_to(b'x', message.sender),
                     lambda: receiver.send_to_async(b'x', message.sender)):
            with self.raises(Code.INVALID_ARGUMENT, 'no name') as caught:
                call()
            self.assertIsInstance(caught.error, TypeError)


class TestDescriptors(fixture.Case):
    def test_sockets_are_descriptors(self):
        first, second = self.pair()
        second.props.max_fds = 4
        server = self.serve()
        handle, other = map(self.keep, Usock.Handle.pair())
        first.send(b'x', fds=[first, server, handle, other])
        message = next(second)
        self.assertEqual([message.get_fd_kind(i).value_nick for i in range(4)], ['socket'] * 4)
        message.close_fds()
        first.send(b'x')
        ready, _, _ = select.select([second, server], [], [], 0)
        self.assertEqual(ready, [second])

    def test_of_an_object_a_copy_is_taken(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            channel = self.keep(Usock.Seqpacket.new_from_fd(ours))
            self.assertNotEqual(channel.fileno(), ours.fileno())
            theirs.send(b'x')
            self.assertEqual(next(channel).data, b'x')
            channel.close()
            ours.send(b'still open')
            self.assertEqual(theirs.recv(100), b'still open')
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self.path)
            listener.listen()
            server = self.keep(Usock.Server())
            server.listen_on_fd(listener)
            self.keep(Usock.Seqpacket()).connect_to_path(self.path)
            server.close()
        with open('/dev/null', encoding='ascii') as null:
            message = Usock.Message(b'x')
            message.append_fd(null)
            message.append_fd_owned(null)
            self.assertEqual(message.get_n_fds(), 2)
            message.close_fds()
            with self.assertRaises(GLib.Error):
                Usock.Seqpacket.new_from_fd(null)
            os.fstat(null.fileno())


class TestTypes(fixture.Case):
    def test_the_wrong_enumeration(self):
        for call in (lambda: Usock.Handle(Usock.Family.UNIX, Gio.SocketType.SEQPACKET),
                     lambda: Usock.Handle.pair(Gio.SocketType.SEQPACKET),
                     lambda: Usock.Handle.new_socket(Usock.Family.UNIX, Gio.SocketType.STREAM, 0),
                     lambda: Usock.Handle.listening(self.path, Gio.SocketType.SEQPACKET),
                     lambda: Usock.Server.new(Usock.SockType.SEQPACKET),
                     lambda: Usock.Server(socket_type=Usock.SockType.SEQPACKET)):
            with self.assertRaises(TypeError):
                call()

    def test_paths_that_are_no_text(self):
        path = os.fsdecode(os.path.join(os.fsencode(self.directory), b'\xff\xfe'))
        server = self.keep(Usock.Server())
        server.listen(path)
        self.assertEqual((server.props.path, server.get_property('path'), server.get_path()),
                         (path, path, path))
        server.props.max_connections = 5
        self.assertEqual(server.props.max_connections, 5)
        with self.assertRaises(AttributeError):
            server.props.no_such


class TestPlain(fixture.Case):
    def test_into_what_is_read_only(self):
        first, second = map(self.keep, Usock.Handle.pair(Usock.SockType.SEQPACKET))
        first.send('precious')
        with self.assertRaises(TypeError):
            second.recvmsg_into(bytes(20))
        self.assertEqual(second.recvmsg().data, b'precious')

    def test_milliseconds_are_whole(self):
        _first, second = map(self.keep, Usock.Handle.pair())
        for call in (lambda: second.receive(timeout=0.5), lambda: second.accept(0.5),
                     lambda: Usock.poll([second], 0.5)):
            with self.assertRaises(TypeError):
                call()

    def test_all_that_was_asked_for(self):
        first, second = map(self.keep, Usock.Handle.pair(Usock.SockType.STREAM))
        flags = Usock.MsgFlags.WAITALL
        for receive in (lambda size: second.receive(size, flags, 20),
                        lambda size: second.recvmsg(size, flags, 20).data,
                        lambda size: second.recvmsg([1, size - 1], flags, 20).data):
            first.send(b'only some')
            self.assertEqual(receive(20), b'only some')
            first.send(b'0123456789')
            self.assertEqual(receive(4), b'0123')
            self.assertEqual(receive(6), b'456789')

    def test_pathlib(self):
        server = self.keep(Usock.Server())
        server.listen(pathlib.Path(self.path))
        with Usock.Seqpacket() as client:
            client.connect_to_path(pathlib.Path(self.path))


tap.main()
