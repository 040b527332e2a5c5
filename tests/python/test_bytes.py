# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Bytes and descriptors go in and come out as Python's own."""

import array
import os
import socket
import tempfile

import fixture
import tap
from fixture import Gio, GLib, Log, Usock, wait_for

Code = Gio.IOErrorEnum


class TestBytes(fixture.Case):
    def sent(self, *args, **kwargs):
        first, second = self.pair()
        self.assertTrue(first.send(*args, **kwargs))
        return Usock.run(second.receive()).data

    def test_every_kind_of_bytes(self):
        for data in (b'bytes\0with NUL', bytearray(b'bytearray'), memoryview(b'memoryview'),
                     GLib.Bytes.new(b'GBytes'), b'', bytearray(), GLib.Bytes.new(b''),
                     memoryview(b'a-b-c')[::2], array.array('B', b'array'), bytes(range(256))):
            with self.subTest(data=data):
                expected = data.get_data() or b'' if isinstance(data, GLib.Bytes) else bytes(data)
                self.assertEqual(self.sent(data), expected)

    def test_items_of_several_bytes(self):
        numbers = array.array('I', [1, 0x12345678])
        self.assertEqual(self.sent(numbers), numbers.tobytes())

    def test_text(self):
        self.assertEqual(self.sent('zwölf\0'), 'zwölf\0'.encode())
        self.assertEqual(self.sent(''), b'')
        first, second = self.pair()
        first.send_text('a\0b')
        self.assertEqual(Usock.run(second.receive()).text, 'a\0b')

    def test_a_buffer_may_change_after_it_was_sent(self):
        first, second = self.pair()
        buffer = bytearray(b'one')
        first.send(buffer)
        buffer[:] = b'two'
        first.send(buffer)
        self.assertEqual([Usock.run(second.receive()).data for _ in range(2)], [b'one', b'two'])

    def test_slices(self):
        for data in (b'0123456789', bytearray(b'0123456789'), '0123456789',
                     memoryview(b'0123456789'), GLib.Bytes.new(b'0123456789')):
            with self.subTest(data=data):
                self.assertEqual(self.sent(data, 3), b'3456789')
                self.assertEqual(self.sent(data, 3, 4), b'3456')
                self.assertEqual(self.sent(data, length=2), b'01')
                self.assertEqual(self.sent(data, offset=10), b'')
                self.assertEqual(self.sent(data, 10, 0), b'')

    def test_offsets_count_bytes_of_text(self):
        self.assertEqual(self.sent('äb', 2), b'b')

    def test_slices_outside(self):
        first, _second = self.pair()
        for data in (b'0123', bytearray(b'0123'), '0123', GLib.Bytes.new(b'0123')):
            for offset, length in ((-1, None), (5, None), (0, 5), (4, 1), (1, -1), (2**64, None),
                                   (0, 2**64), (-2**31, 2**31)):
                with self.subTest(data=data, offset=offset, length=length):
                    with self.assertRaises(ValueError):
                        first.send(data, offset, length)
        for offset, length in ((1.0, None), ('1', None), (0, 1.0)):
            with self.assertRaises(TypeError):
                first.send(b'0123', offset, length)
        self.assertEqual(first.get_messages_written(), 0)

    def test_what_is_not_bytes(self):
        first, _second = self.pair()
        for data in (None, 5, 1.5, object(), {}, [1, 2], True):
            with self.subTest(data=data), self.assertRaises(TypeError):
                first.send(data)
        with self.assertRaises(TypeError):
            first.send(Usock.Message(b'0123'), 1)
        with self.assertRaises(TypeError):
            first.send(Usock.Message(b'0123'), fds=[0])
        with self.assertRaises(ValueError):
            first.send('\udc80')
        self.assertEqual(first.get_messages_written(), 0)

    def test_several_messages(self):
        first, second = self.pair()
        messages = [Usock.Message(b'one'), b'two', 'three', b'']
        self.assertEqual(first.send_messages(messages), 4)
        self.assertEqual([Usock.run(second.receive()).data for _ in messages],
                         [b'one', b'two', b'three', b''])

    def test_bytes_come_out_as_bytes(self):
        first, second = self.pair()
        log = Log(second, 'data')
        first.send(b'x\0y')
        first.send(b'')
        log.wait('data', 2)
        self.assertEqual(log, [('data', b'x\0y'), ('data', b'')])
        self.assertTrue(all(type(data) is bytes for _, data in log))

    def test_a_batch_is_a_list_of_bytes(self):
        first, second = self.pair()
        batches = Log(second, 'batch', 'data')
        sent = [b'%d' % i for i in range(100)] + [b'']
        for data in sent:
            first.send(data)
        wait_for(lambda: sum(len(b) for _, b in batches) >= len(sent))
        self.assertEqual([data for _, batch in batches for data in batch], sent)
        self.assertLess(len(batches), len(sent))


class TestMessage(fixture.Case):
    def test_what_it_holds(self):
        for data in (b'ab\0', bytearray(b'ab\0'), 'ab\0', GLib.Bytes.new(b'ab\0')):
            message = Usock.Message(data)
            self.assertIsInstance(message, Usock.Message)
            self.assertEqual((message.data, bytes(message), len(message), message.text),
                             (b'ab\0', b'ab\0', 3, 'ab\0'))

    def test_an_empty_one_is_true(self):
        message = Usock.Message()
        self.assertEqual((message.data, len(message), message.text), (b'', 0, ''))
        self.assertTrue(message)

    def test_text_that_is_none(self):
        message = Usock.Message(b'\xff')
        with self.assertRaises(UnicodeDecodeError):
            message.text
        with self.assertRaises(GLib.Error):
            message.dup_text()

    def test_constructors(self):
        self.assertEqual(Usock.Message.new(b'x').data, b'x')
        self.assertEqual(Usock.Message.new_from_text('a\0ö').text, 'a\0ö')
        self.assertEqual(Usock.Message.new_from_bytes(GLib.Bytes.new(b'x')).data, b'x')
        self.assertIn('3 bytes', repr(Usock.Message(b'abc')))

    def test_segments(self):
        message = Usock.Message(b'one ')
        message.append_bytes(GLib.Bytes.new(b'two'))
        first, second = self.pair()
        first.send(message)
        self.assertEqual(Usock.run(second.receive()).data, b'one two')

    def test_it_can_be_sent_to_many(self):
        message = Usock.Message(b'to all')
        for _ in range(3):
            first, second = self.pair()
            first.send(message)
            self.assertEqual(Usock.run(second.receive()).data, b'to all')

    def test_data_outlives_it(self):
        first, second = self.pair()
        first.send(b'kept')
        data = Usock.run(second.receive()).data
        for _ in range(100):
            Usock.Message(b'other')
        self.assertEqual(data, b'kept')


class TestDescriptors(fixture.Case):
    def receive_fds(self, second):
        message = Usock.run(second.receive())
        fds = message.take_fds()
        for fd in fds:
            self.addCleanup(os.close, fd)
        return message, fds

    def tearDown(self):
        self.doCleanups_of_fds()
        super().tearDown()

    def doCleanups_of_fds(self):
        directory = self.directory
        self.doCleanups()
        self.assertFalse(os.path.exists(directory))

    def fd_pair(self):
        first, second = self.pair()
        second.set_max_fds(253)
        return first, second

    def test_numbers_and_objects(self):
        first, second = self.fd_pair()
        with tempfile.TemporaryFile() as file, socket.socket(socket.AF_UNIX) as unix:
            file.write(b'inside')
            file.flush()
            first.send(b'data', fds=[file.fileno(), file, unix])
        message, fds = self.receive_fds(second)
        self.assertEqual(message.data, b'data')
        self.assertEqual(len(fds), 3)
        self.assertEqual([os.pread(fd, 10, 0) for fd in fds[:2]], [b'inside', b'inside'])
        self.assertFalse(os.get_inheritable(fds[0]))

    def test_kinds(self):
        first, second = self.fd_pair()
        reader, writer = os.pipe()
        with open('/dev/null') as null, socket.socket(socket.AF_UNIX) as unix:
            first.send(b'', fds=(reader, null, unix))
        os.close(reader)
        os.close(writer)
        message = Usock.run(second.receive())
        self.assertEqual([message.get_fd_kind(i) for i in range(message.get_n_fds())],
                         [Usock.FdKind.PIPE, Usock.FdKind.DEVICE, Usock.FdKind.SOCKET])
        message.close_fds()

    def test_no_fds(self):
        first, second = self.fd_pair()
        first.send(b'none', fds=[])
        message, fds = self.receive_fds(second)
        self.assertEqual((message.data, fds), (b'none', []))

    def test_slice_with_fds(self):
        first, second = self.fd_pair()
        with open('/dev/null') as null:
            first.send(bytearray(b'0123'), 1, 2, fds=[null])
        message, fds = self.receive_fds(second)
        self.assertEqual((message.data, len(fds)), (b'12', 1))

    def test_in_a_message(self):
        first, second = self.fd_pair()
        with tempfile.TemporaryFile() as file:
            message = Usock.Message(b'x', fds=[file])
        self.assertIn('1 descriptors', repr(message))
        first.send(message)
        del message
        _message, fds = self.receive_fds(second)
        self.assertEqual(len(fds), 1)
        self.assertEqual(os.fstat(fds[0]).st_size, 0)

    def test_an_fd_is_taken_once(self):
        first, second = self.fd_pair()
        with open('/dev/null') as null:
            first.send(b'', fds=[null, null])
        message = Usock.run(second.receive())
        os.close(message.take_fd(0))
        with self.assertRaises(GLib.Error):
            message.take_fd(0)
        with self.assertRaises(GLib.Error):
            message.take_fd(2)
        message.close_fds()
        with self.assertRaises(GLib.Error):
            message.take_fd(1)

    def test_those_nobody_takes_are_closed(self):
        first, second = self.fd_pair()
        log = Log(second, 'message')
        with open('/dev/null') as null:
            for _ in range(3000):
                first.send(b'', fds=[null])
                log.wait('message')
                del log[:]
                self.assertLess(len(os.listdir('/proc/self/fd')), 100)

    def test_those_taken_in_the_handler_stay_open(self):
        first, second = self.fd_pair()
        taken = []
        second.connect('message', lambda _c, message: taken.extend(message.take_fds()))
        with tempfile.TemporaryFile() as file:
            first.send(b'', fds=[file, file])
        wait_for(lambda: taken)
        self.assertEqual([os.fstat(fd).st_size for fd in taken], [0, 0])
        for fd in taken:
            os.close(fd)

    def test_bad_descriptors(self):
        first, second = self.fd_pair()
        closed = os.open('/dev/null', os.O_RDONLY)
        os.close(closed)
        for fds in ([-1], [closed], [0, -1], [2**31 - 1]):
            with self.subTest(fds=fds):
                with self.raises(Code.INVALID_ARGUMENT, 'descriptor'):
                    first.send(b'x', fds=fds)
        with self.raises(Code.INVALID_ARGUMENT, 'descriptor'):
            Usock.Message(b'x', fds=[-1])
        with self.assertRaises(OverflowError):
            first.send(b'x', fds=[2**40])
        for fds in (['0'], [None], [1.0], 0):
            with self.assertRaises(TypeError):
                first.send(b'x', fds=fds)
        first.send(b'still open')
        self.assertEqual(Usock.run(second.receive()).data, b'still open')

    def test_too_many(self):
        first, second = self.fd_pair()
        with open('/dev/null') as null:
            with self.assertRaises(GLib.Error):
                first.send(b'x', fds=[null] * 254)
            first.send(b'most', fds=[null] * 253)
        message, fds = self.receive_fds(second)
        self.assertEqual((message.data, len(fds)), (b'most', 253))

    def test_refused_by_default(self):
        first, second = self.pair()
        with open('/dev/null') as null:
            try:
                first.send(b'x', fds=[null])
            except GLib.Error as error:
                # Where the kernel knows SO_PASSRIGHTS it tells the sender.
                self.is_error(error, Code.PERMISSION_DENIED)
                return
        message = Usock.run(second.receive())
        self.assertEqual(message.get_n_fds(), 0)
        self.assertTrue(message.get_flags() & Usock.MessageFlags.FDS_LOST)


tap.main()
