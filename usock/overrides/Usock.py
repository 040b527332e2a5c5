# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usock as Python's own: bytes go in and come out, messages are awaited and iterated.

Whatever waits in the library can be waited for in three ways:

* `await`, in a coroutine run by `Usock.run()` or `Usock.spawn()`, which iterate the
  GMainContext and nothing else;
* `await`, under asyncio. The GMainContext has to be iterated as well: PyGObject does so from
  version 3.50 on (`gi.events`). With any other loop it is done here while something is awaited;
  a program that listens to signals and awaits nothing starts `Usock.pump()` as a task;
* a plain `for message in channel`, which iterates the GMainContext until there is one.

What an await that was cancelled or dropped has received already is not lost: the next
`receive()` of the channel returns it.
"""

import collections
import contextlib
import functools
import operator
import os
import sys
import weakref

from gi.repository import Gio, GLib, GObject

from ..module import get_introspection_module
from ..overrides import override

Usock = get_introspection_module('Usock')

__all__ = []


def export(item):
    __all__.append(item.__name__)
    return item


# What goes in

def _as_bytes(data):
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, GLib.Bytes):
        return data.get_data() or b''
    if isinstance(data, bytes):
        return data
    try:
        return memoryview(data).tobytes()
    except TypeError:
        raise TypeError('a message is made of bytes, a buffer, a str, a GLib.Bytes or a '
                        f'Usock.Message, not of {type(data).__name__}') from None


def _as_text(text):
    if not isinstance(text, str):
        raise TypeError(f'what is sent as text is a str, not {type(text).__name__}')
    return text.encode()


def _slice(data, offset, length):
    offset = operator.index(offset)
    if not 0 <= offset <= len(data):
        raise ValueError(f'offset {offset} is outside of the {len(data)} bytes')
    rest = len(data) - offset
    length = rest if length is None else operator.index(length)
    if not 0 <= length <= rest:
        raise ValueError(f'length {length} from offset {offset} is outside of the '
                         f'{len(data)} bytes')
    return data if length == len(data) else data[offset:offset + length]


def _listed(items, what):
    if isinstance(items, Usock.Channel):
        # It can be iterated, which would wait for its messages.
        raise TypeError(f'{what} are given in a list')
    return list(items)


def _as_fds(fds):
    return [operator.index(fd.fileno() if hasattr(fd, 'fileno') else fd)
            for fd in _listed(fds, 'descriptors')]


def _refuse_nul(text, what):
    # PyGObject hands over a C string, so that the call would be made with another name. What is no
    # text it refuses itself.
    if isinstance(text, str) and '\0' in text:
        shown = text.replace('\0', '\\0')
        raise GLib.Error.new_literal(
            Gio.io_error_quark(), f'{what} “{shown}”: it has a NUL in it',
            Gio.IOErrorEnum.INVALID_FILENAME)
    return text


def _as_connect_path(path):
    return _refuse_nul(os.fsdecode(path), 'Could not connect to')


def _as_host(host):
    return _refuse_nul(host, 'Could not connect to')


def _as_listen_path(path):
    return _refuse_nul(os.fsdecode(path), 'Could not listen on')


def _as_bind_path(path):
    return _refuse_nul(os.fsdecode(path), 'Could not bind to')


def _as_destination(text):
    return _refuse_nul(os.fsdecode(text), 'Could not send to')


@export
def address_parse(text):
    return Usock.address_parse(_refuse_nul(text, 'Could not parse the address'))


# Waiting

def _asyncio_loop():
    # Importing asyncio costs more than all the rest; a program that runs it has done so.
    events = sys.modules.get('asyncio.events')
    return events._get_running_loop() if events else None


def _iterate(context):
    # Newer PyGObjects look for a loop of asyncio first, which takes longer than all the rest.
    if _asyncio_loop() is None:
        super(GLib.MainContext, context).iteration(True)
    else:
        context.iteration(True)


class _Awaitable:
    """Something to wait for: `_begin(wake)`, then once awake `_end()`, or else `_abandon()`."""

    __slots__ = ()

    def __await__(self):
        loop = _asyncio_loop()
        try:
            if loop is None:
                yield self
            else:
                future = loop.create_future()
                self._begin(lambda: future.done() or future.set_result(None))
                with _Pump.running(loop):
                    yield from future
        except BaseException:
            self._abandon()
            raise
        return self._end()

    def _wait(self):
        context = GLib.MainContext.ref_thread_default()
        awake = []
        try:
            self._begin(lambda: awake.append(True))
            while not awake:
                _iterate(context)
        except BaseException:
            self._abandon()
            raise
        return self._end()

    def _abandon(self):
        pass


class _Call(_Awaitable):
    """One asynchronous call of the library. It is made when it is awaited, once."""

    __slots__ = ('_start', '_finish', '_user', '_own', '_link', '_wake', '_result', '_abandoned')

    def __init__(self, start, finish, cancellable=None):
        self._start = start
        self._finish = finish
        self._user = cancellable
        self._own = self._link = self._wake = self._result = None
        self._abandoned = False

    def _begin(self, wake):
        if self._own:
            raise RuntimeError('a call can be awaited only once')
        self._wake = wake
        self._own = Gio.Cancellable()
        if self._user:
            # Gio.Cancellable.connect() is another function, one that holds a lock meanwhile.
            self._link = GObject.Object.connect(self._user, 'cancelled',
                                                lambda _: self._own.cancel())
            if self._user.is_cancelled():
                self._own.cancel()
        try:
            self._start(self._own, self._done)
        except BaseException:
            self._unlink()
            raise

    def _unlink(self):
        if self._link:
            GObject.Object.disconnect(self._user, self._link)
            self._link = None

    def _done(self, _source, result):
        self._unlink()
        self._result = result
        if self._abandoned:
            self._rescue()
        else:
            self._wake()

    def _end(self):
        result, self._result = self._result, None
        return self._finish(result)

    def _abandon(self):
        self._abandoned = True
        if self._result:
            self._rescue()
        elif self._own:
            self._own.cancel()

    def _rescue(self):
        try:
            _Call._end(self)
        except GLib.Error:
            pass


class _Line:
    """The receives of one channel that are being made, and the messages that missed theirs."""

    __slots__ = ('receivers', 'rescued')

    def __init__(self):
        self.receivers = []
        self.rescued = collections.deque()


class _Receive(_Call):
    """A receive. The message of one that nobody waits for any more goes to the next."""

    __slots__ = ('_line', '_gift')

    def __init__(self, channel, cancellable):
        super().__init__(functools.partial(Usock.Channel.receive_async, channel),
                         channel.receive_finish, cancellable)
        self._line = channel._line
        self._gift = None

    def __await__(self):
        if self._line.rescued:
            return self._line.rescued.popleft()
        return (yield from super().__await__())

    def _wait(self):
        if self._line.rescued:
            return self._line.rescued.popleft()
        return super()._wait()

    def _begin(self, wake):
        self._line.receivers.append(self)
        super()._begin(wake)

    def _done(self, source, result):
        self._leave()
        super()._done(source, result)

    def _end(self):
        return super()._end() if self._gift is None else self._gift

    def _abandon(self):
        self._leave()
        super()._abandon()
        if self._gift is not None:
            self._hand_on(self._gift)

    def _leave(self):
        if self in self._line.receivers:
            self._line.receivers.remove(self)

    def _rescue(self):
        try:
            message = _Call._end(self)
        except GLib.Error:
            return
        if message is not None:
            self._hand_on(message)

    def _hand_on(self, message):
        if self._line.receivers:
            self._line.receivers[0]._accept(message)
        else:
            self._line.rescued.append(message)

    def _accept(self, message):
        self._abandon()
        self._gift = message
        self._wake()


class _Piece(_Receive):
    """A receive of a stream. What nobody waits for any more stands first in line again."""

    __slots__ = ('_stream',)

    def __init__(self, stream, cancellable):
        super().__init__(stream, cancellable)
        self._stream = stream

    def _hand_on(self, message):
        try:
            self._stream.unread(message)
        except GLib.Error:
            super()._hand_on(message)


class _StreamCall(_Call):
    """A receive of so many bytes, a line, or text."""

    __slots__ = ('_stream', '_ending')

    def __init__(self, stream, name, args=(), cancellable=None, ending=''):
        super().__init__(functools.partial(getattr(Usock.Stream, name + '_async'), stream, *args),
                         getattr(stream, name + '_finish'), cancellable)
        self._stream = stream
        self._ending = ending

    def _rescue(self):
        try:
            result = _Call._end(self)
            if isinstance(result, str):
                result = Message(result + self._ending)
            if result is not None:
                self._stream.unread(result)
        except GLib.Error:
            pass


class _Lines:
    """The lines of a stream, for both kinds of loop. Leaving one leaves the stream open."""

    def __init__(self, stream):
        self._stream = stream

    def __aiter__(self):
        return self

    async def __anext__(self):
        line = await self._stream.receive_line()
        if line is None:
            raise StopAsyncIteration
        return line

    def __iter__(self):
        return self

    def __next__(self):
        line = self._stream.receive_line()._wait()
        if line is None:
            raise StopIteration
        return line


class _Cork:
    """Ends with the block. Who uses no block calls uncork()."""

    def __init__(self, stream):
        self._stream = stream

    def __enter__(self):
        return self._stream

    def __exit__(self, *_):
        self._stream.uncork()


@export
class Task(_Awaitable):
    """A coroutine that the GMainContext drives. It can be awaited itself."""

    def __init__(self, coroutine):
        # What is awaited alone, such as channel.receive(), has no send() of its own.
        self._coroutine = coroutine if hasattr(coroutine, 'send') else coroutine.__await__()
        self._call = self._value = self._error = None
        self._is_done = self._seen = False
        self._wakes = []
        self._step()

    def done(self):
        return self._is_done

    def result(self):
        """Returns what the coroutine returned, or raises what it raised."""
        if not self._is_done:
            raise RuntimeError('the task is not done')
        self._seen = True
        if self._error:
            raise self._error
        return self._value

    def cancel(self):
        """Makes the call that is waited for fail with Gio.IOErrorEnum.CANCELLED."""
        if isinstance(self._call, Task):
            self._call.cancel()
        elif isinstance(self._call, _Call):
            self._call._own.cancel()

    def __await__(self):
        return self.result() if self._is_done else (yield from super().__await__())

    def _step(self):
        self._call = None
        advance = functools.partial(self._coroutine.send, None)
        while not self._is_done:
            try:
                call = advance()
            except StopIteration as stop:
                self._settle(stop.value, None)
            except BaseException as error:
                self._settle(None, error)
            else:
                try:
                    if not isinstance(call, _Awaitable):
                        raise TypeError('Usock.run() and Usock.spawn() await what usock offers; '
                                        'a coroutine that awaits more is for asyncio.run()')
                    self._call = call
                    call._begin(self._step)
                    return
                except Exception as error:
                    advance = functools.partial(self._coroutine.throw, error)

    def _drop(self):
        if self._coroutine:
            self._coroutine.close()

    def _settle(self, value, error):
        self._is_done = True
        self._call = self._coroutine = None
        self._value, self._error = value, error
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()

    def _begin(self, wake):
        self._wakes.append(wake)

    def _end(self):
        return self.result()

    def __del__(self):
        if self._error and not self._seen:
            sys.excepthook(type(self._error), self._error, self._error.__traceback__)


@export
def spawn(coroutine):
    """Starts a coroutine, which whoever iterates the GMainContext drives on. Under asyncio it
    becomes a task of asyncio's."""
    loop = _asyncio_loop()
    return loop.create_task(_awaited(coroutine)) if loop else Task(coroutine)


async def _awaited(awaitable):
    return await awaitable


@export
def run(coroutine):
    """Runs a coroutine to its end, iterating the GMainContext, and returns what it returns."""
    task = Task(coroutine)
    try:
        return task.result() if task.done() else task._wait()
    except BaseException:
        # Ctrl-C, for one: the blocks that the coroutine is in close what they opened.
        task._drop()
        raise


class _Pump:
    """Iterates the GMainContext while an asyncio loop that does not do so awaits something.

    asyncio can not wait for a GMainContext. So it is looked at every few milliseconds, and again
    at once as long as there is something to do.
    """

    INTERVAL = 0.002
    BATCH = 64

    pumps = weakref.WeakKeyDictionary()

    def __init__(self, loop):
        self._native = any(base.__module__.partition('.')[0] in ('gi', 'gbulb')
                           for base in type(loop).__mro__)
        self._users = 0
        self._handle = None

    @classmethod
    @contextlib.contextmanager
    def running(cls, loop):
        pump = cls.pumps.get(loop) or cls.pumps.setdefault(loop, cls(loop))
        pump._users += 1
        if not pump._native and not pump._handle:
            pump._handle = loop.call_soon(pump._turn, loop)
        try:
            yield
        finally:
            pump._users -= 1
            if not pump._users and pump._handle:
                pump._handle.cancel()
                pump._handle = None

    def _turn(self, loop):
        # One that is set before the context runs would be lost if a callback stops the pump.
        self._handle = None
        context = GLib.MainContext.ref_thread_default()
        turns = 0
        while turns < self.BATCH and context.iteration(False):
            turns += 1
        if self._users and not self._handle:
            self._handle = (loop.call_soon(self._turn, loop) if turns else
                            loop.call_later(self.INTERVAL, self._turn, loop))


class _Accepted(_Awaitable):
    """What a server accepted and nobody has asked for yet."""

    def __init__(self):
        self._channels = collections.deque()
        self._ended = False
        self._wake = None

    def add(self, _server, channel):
        self._channels.append(channel)
        self._rouse()

    def end(self, _server):
        self._ended = True
        self._rouse()

    def _rouse(self):
        wake, self._wake = self._wake, None
        if wake:
            wake()

    def _begin(self, wake):
        self._wake = wake

    def _end(self):
        return None

    def _abandon(self):
        self._wake = None

    async def next(self):
        while not self._channels and not self._ended:
            await self
        return self._channels.popleft() if self._channels else None

    def close(self):
        for channel in self._channels:
            channel.close()


@export
async def pump():
    """Iterates the GMainContext until it is cancelled: a task for asyncio."""
    loop = _asyncio_loop()
    with _Pump.running(loop):
        await loop.create_future()


def _unpack(value):
    if value.get_type_string() == 'ay':
        return value.get_data_as_bytes().get_data() or b''
    return value.unpack()


# The classes

@export
@override
class Message(Usock.Message):
    """A message. One that is empty is true: only None says that there is no message."""

    def __new__(cls, data=b'', fds=()):
        self = Usock.Message.new(_as_bytes(data))
        for fd in _as_fds(fds):
            self.append_fd(fd)
        return self

    def __init__(self, data=b'', fds=()):
        pass

    @staticmethod
    def new_from_text(text):
        return Usock.Message.new(_as_text(text))

    @property
    def data(self):
        return self.get_data()

    @property
    def text(self):
        return self.get_data().decode()

    @property
    def segments(self):
        return [self.get_segment(i).get_data() or b'' for i in range(self.get_n_segments())]

    @property
    def controls(self):
        """What came beside the bytes: a list of (level, type, value)."""
        records = self.get_controls()
        children = [records.get_child_value(i) for i in range(records.n_children())]
        return [(level, kind, _unpack(child.get_child_value(2).get_variant()))
                for child in children for level, kind, _ in [child.unpack()]]

    def lookup_control(self, level, type):
        """The value of the first such record, or None."""
        value = Usock.Message.lookup_control(self, level, type)
        return None if value is None else _unpack(value)

    def append_control(self, level, type, value):
        """Adds a record: a number, bytes, or a GLib.Variant."""
        if isinstance(value, int):
            value = GLib.Variant('x', value)
        if isinstance(value, GLib.Variant):
            return self.append_control_value(level, type, value)
        return Usock.Message.append_control(self, level, type, GLib.Bytes.new(_as_bytes(value)))

    @property
    def sender(self):
        """Who sent a datagram, as text to answer to. None if the sender has no name."""
        return self.get_sender()

    def __bytes__(self):
        return self.get_data()

    def __len__(self):
        return self.get_length()

    def __bool__(self):
        return True

    def __repr__(self):
        fds = self.get_n_fds()
        return f'<Usock.Message of {len(self)} bytes{f" and {fds} descriptors" if fds else ""}>'


def _as_option(level, name, value):
    """The value of an option, of the type that it has."""
    if value is None or isinstance(value, GLib.Variant):
        return value
    kind = Usock.Socket.get_option_format(level, name)
    if kind is None:
        return None  # There is no such option, which the call tells.
    if kind == 'b':
        return GLib.Variant('b', bool(operator.index(value)))
    if isinstance(value, int) and len(kind) == 1:
        # One that is too large is then out of the option's range, and not of the type's.
        return GLib.Variant('x' if value < 1 << 63 else 't', value)
    if kind == 'ay':
        return GLib.Variant('ay', list(_as_bytes(value)))
    if kind == '' or (kind == 's' and not isinstance(value, str)):
        raise TypeError(f'the option takes {"text" if kind else "no value"}')
    return GLib.Variant(kind, value)


def _unread(unread):
    return unread and unread.get_data() or b''


@export
@override
class Socket(Usock.Socket):
    def get_option(self, level, name):
        """Gets an option: a number, bool, text, bytes, tuple, list or dict, see the reference."""
        value = Usock.Socket.get_option(self, level, name)
        if value.get_type_string() == 'ay':
            return value.get_data_as_bytes().get_data() or b''
        return value.unpack()

    def set_option(self, level, name, value=None):
        """Sets an option to what get_option() gives, or to a GLib.Variant."""
        return Usock.Socket.set_option(self, level, name, _as_option(level, name, value))

    def steal_fd(self):
        """Takes the descriptor away; returns it, and the bytes that were read ahead."""
        fd, unread = Usock.Socket.steal_fd(self)
        return fd, _unread(unread)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()

    def destroy(self, error=None):
        """Closes at once. An error, of any class, is what the error signal then tells."""
        if error is None:
            self.close()
            return
        if not isinstance(error, GLib.Error):
            error = GLib.Error.new_literal(Gio.io_error_quark(), str(error) or repr(error),
                                           Gio.IOErrorEnum.FAILED)
        Usock.Socket.destroy(self, error)


def _whole(message, offset, length, fds):
    if offset != 0 or length is not None or fds is not None:
        raise TypeError('a Usock.Message is sent whole, with the descriptors that are in it')
    return message


def _as_message(data, offset, length, fds):
    if isinstance(data, Usock.Message):
        return _whole(data, offset, length, fds)
    return Message(_slice(_as_bytes(data), offset, length), fds or ())


def _awaitable(name, *prepare, of=Usock.Channel):
    """Makes NAME_async() return something to await when it is given no callback.

    There is a function in prepare for each argument, which makes it fit.
    """
    n_args = len(prepare)
    start = getattr(of, name + '_async')
    finish = getattr(of, name + '_finish')

    def method(self, *args, **kwargs):
        args = [fit(arg) for fit, arg in zip(prepare, args)] + list(args[n_args:])
        if kwargs or any(map(callable, args)):
            return start(self, *args, **kwargs)
        if not n_args <= len(args) <= n_args + 1:
            raise TypeError(f'{name}_async() takes {n_args} arguments, a cancellable and a '
                            f'callback ({len(args)} given)')
        cancellable = args[n_args] if len(args) > n_args else None
        return _Call(functools.partial(start, self, *args[:n_args]),
                     functools.partial(finish, self), cancellable)

    method.__name__ = name + '_async'
    return method


@export
@override
class Channel(Usock.Channel):
    """Adds bytes, awaiting and iterating. Leaving a block without an exception sends what waits
    in the queue first; leaving it with one closes at once."""

    _waiting_line = None

    @property
    def _line(self):
        # Made when first asked for: a channel that a server accepted was never initialised here.
        if self._waiting_line is None:
            self._waiting_line = _Line()
        return self._waiting_line

    def connect_to_path(self, path):
        return Usock.Channel.connect_to_path(self, _as_connect_path(path))

    def connect_to_name(self, name):
        return Usock.Channel.connect_to_name(self, _refuse_nul(name, 'Could not connect to'))

    def open(self, where, cancellable=None):
        """Connects to a path or a Gio.SocketAddress. Await it; it returns the channel."""
        if isinstance(where, Gio.SocketAddress):
            start, finish = self.connect_async, self.connect_finish
        else:
            start, finish = self.connect_to_path_async, self.connect_to_path_finish
        return _Call(lambda own, done: start(where, own, done),
                     lambda result: finish(result) and self, cancellable)

    def send(self, data, offset=0, length=None, fds=None):
        """Sends bytes, a buffer, a str as UTF-8, a GLib.Bytes or a Usock.Message.

        offset and length count bytes. fds are numbers or objects with a fileno(); they stay the
        caller's.
        """
        if isinstance(data, Usock.Message):
            return Usock.Channel.send_message(self, _whole(data, offset, length, fds))
        data = _slice(_as_bytes(data), offset, length)
        if fds is None:
            return Usock.Channel.send(self, data)
        return Usock.Channel.send_with_fds(self, data, _as_fds(fds))

    def send_async(self, data, offset=0, length=None, fds=None, cancellable=None):
        """Sends like send(), but waits for room. Await it: then the kernel has the message."""
        return self.send_message_async(_as_message(data, offset, length, fds), cancellable)

    def send_text(self, text):
        return Usock.Channel.send(self, _as_text(text))

    def send_with_fds(self, data, fds):
        return self.send(data, fds=fds)

    def send_messages(self, messages):
        return Usock.Channel.send_messages(
            self, [m if isinstance(m, Usock.Message) else Message(m)
                   for m in _listed(messages, 'messages')])

    def end_with_message(self, data, offset=0, length=None, fds=None):
        """Sends what send() takes, however full the queue is, and ends our side."""
        return Usock.Channel.end_with_message(self, _as_message(data, offset, length, fds))

    def receive(self, cancellable=None):
        """Await it: the next Usock.Message, or None after the last one."""
        return _Receive(self, cancellable)

    def flush(self, cancellable=None):
        """Await it: then the kernel has all that was sent."""
        return self.flush_async(cancellable)

    def close_gracefully(self, timeout, cancellable=None):
        """Await it: all was sent and the peer has ended too, or timeout ms have gone by."""
        return self.close_gracefully_async(timeout, cancellable)

    def __aiter__(self):
        return self

    async def __anext__(self):
        message = await self.receive()
        if message is None:
            raise StopAsyncIteration
        return message

    def __iter__(self):
        return self

    def __next__(self):
        message = self.receive()._wait()
        if message is None:
            raise StopIteration
        return message

    def __exit__(self, error_type, *_):
        try:
            if error_type is None and self.get_queued_bytes():
                self.flush()._wait()
        finally:
            self.close()

    async def __aexit__(self, error_type, *_):
        try:
            if error_type is None and self.get_queued_bytes():
                await self.flush()
        finally:
            self.close()


def _same(argument):
    return argument


for _name, *_prepare in (('connect', _same), ('connect_to_path', _as_connect_path),
                         ('connect_when_available', _as_connect_path, _same),
                         ('send_message', _same), ('receive',), ('flush',), ('end',),
                         ('close_gracefully', _same)):
    setattr(Channel, _name + '_async', _awaitable(_name, *_prepare))


@export
@override
class Seqpacket(Usock.Seqpacket):
    @staticmethod
    def new_for_name(name):
        return Usock.Seqpacket.new_for_name(_refuse_nul(name, 'Could not connect to'))

    @staticmethod
    def new_activated(name=None):
        return Usock.Seqpacket.new_activated(name)

    @staticmethod
    def pair():
        """Returns two channels that are connected with each other."""
        _, first, second = Usock.Seqpacket.new_pair()
        return first, second


@export
@override
class Stream(Usock.Stream):
    """Bytes without borders. Each receive waits in the same line as receive(), which takes what
    comes as it comes. `for line in stream.lines()` and `async for` iterate lines."""

    @staticmethod
    def pair():
        """Returns two streams that are connected with each other."""
        _, first, second = Usock.Stream.new_pair()
        return first, second

    @staticmethod
    def new_for_name(name):
        return Usock.Stream.new_for_name(_refuse_nul(name, 'Could not connect to'))

    @staticmethod
    def new_activated(name=None):
        return Usock.Stream.new_activated(name)

    def connect_to_host(self, host, port, family=Gio.SocketFamily.INVALID):
        return Usock.Stream.connect_to_host(self, _as_host(host), port, family)

    def open_host(self, host, port, family=Gio.SocketFamily.INVALID, cancellable=None):
        """Connects by TCP. Await it; it returns the stream."""
        return _Call(functools.partial(Usock.Stream.connect_to_host_async, self, _as_host(host),
                                       port, family),
                     lambda result: self.connect_to_host_finish(result) and self, cancellable)

    def receive(self, cancellable=None):
        """Await it: the next Usock.Message, or None after the last one."""
        return _Piece(self, cancellable)

    def receive_exactly(self, n_bytes, n_fds=0, cancellable=None):
        """Await it: a Usock.Message of exactly so many bytes and descriptors. None at the end."""
        # PyGObject would cut 1.5 to 1.
        numbers = operator.index(n_bytes), operator.index(n_fds)
        return _StreamCall(self, 'receive_exactly', numbers, cancellable)

    def receive_line(self, cancellable=None):
        """Await it: the next line, without what ended it. None at the end."""
        return _StreamCall(self, 'receive_line', (), cancellable, ending='\n')

    def receive_text(self, cancellable=None):
        """Await it: some text, as it comes. None at the end."""
        return _StreamCall(self, 'receive_text', (), cancellable)

    def lines(self):
        return _Lines(self)

    def steal_connection(self):
        """Takes the connection away; returns a Gio.SocketConnection, and the bytes that were read
        ahead."""
        connection, unread = Usock.Stream.steal_connection(self)
        return connection, _unread(unread)

    def cork(self):
        """What is sent from now on leaves together: at uncork(), or at the end of a with block."""
        Usock.Stream.cork(self)
        return _Cork(self)


for _name, *_prepare in (('connect_to_host', _as_host, _same, _same),
                         ('connect_to_connectable', _same),
                         ('receive_exactly', operator.index, operator.index), ('receive_line',), ('receive_text',)):
    setattr(Stream, _name + '_async', _awaitable(_name, *_prepare, of=Usock.Stream))


@export
@override
class Dgram(Usock.Dgram):
    """Datagrams. A destination is a text as in Usock.address_parse(), the sender of a message for
    one, or a Gio.SocketAddress."""

    @staticmethod
    def new_activated(name=None):
        return Usock.Dgram.new_activated(name)

    @staticmethod
    def pair():
        """Returns two sockets that are connected with each other."""
        _, first, second = Usock.Dgram.new_pair()
        return first, second

    def bind_to_path(self, path):
        return Usock.Dgram.bind_to_path(self, _as_bind_path(path))

    def bind(self, where):
        """Receives on a path or a Gio.SocketAddress."""
        if isinstance(where, Gio.SocketAddress):
            return self.bind_to_address(where)
        return self.bind_to_path(where)

    def send_to(self, data, destination, offset=0, length=None, fds=None):
        """Sends to a destination what send() takes."""
        if isinstance(destination, Gio.SocketAddress):
            message = _as_message(data, offset, length, fds)
            return self.send_message_to(message, destination)
        if fds is not None or isinstance(data, Usock.Message):
            message = _as_message(data, offset, length, fds)
            return self.send_message_to_all(message, [destination]) == 1
        data = _slice(_as_bytes(data), offset, length)
        return Usock.Dgram.send_to(self, data, _as_destination(destination))

    def send_to_async(self, data, destination, offset=0, length=None, fds=None, cancellable=None):
        """Sends like send_to(), but waits for room. Await it: then the receiver has the message."""
        message = _as_message(data, offset, length, fds)
        if isinstance(destination, Gio.SocketAddress):
            return self.send_message_to_async(message, destination, cancellable)
        return self._send_to_async(message, destination, cancellable)

    def send_message_to_all(self, message, destinations):
        """Returns how many accepted it, which raises only if none did."""
        return Usock.Dgram.send_message_to_all(self, message,
                                               [_as_destination(text)
                                                for text in _listed(destinations, 'destinations')])

    _send_to_async = _awaitable('send_to', _same, _as_destination, of=Usock.Dgram)
    send_message_to_async = _awaitable('send_message_to', _same, _same, of=Usock.Dgram)


def _wait_for(handle, condition, timeout, flags):
    # A call in C that waits for ever would not let Ctrl-C through.
    if timeout < 0 and not flags & Usock.MsgFlags.DONTWAIT and handle.get_fd() >= 0:
        import select
        poll = select.poll()
        poll.register(handle.get_fd(), condition)
        poll.poll()


def _receive_condition(flags):
    if flags & Usock.MsgFlags.ERRQUEUE:
        return Usock.PollFlags.ERR
    return Usock.PollFlags.PRI if flags & Usock.MsgFlags.OOB else Usock.PollFlags.IN


@export
@override
class Handle(Usock.Handle):
    """Immediate calls on a socket. A timeout is in milliseconds; -1 waits for ever, 0 not at all.

    A place is a path, or what Usock.address_parse() reads with a Gio.SocketAddress for the rest.
    """

    def __init__(self, family=None, type=Usock.SockType.STREAM, protocol=0):
        super().__init__()
        if family is not None:
            self.create(family, type, protocol)

    @staticmethod
    def pair(type=Usock.SockType.STREAM):
        """Returns two handles that are connected with each other."""
        _, first, second = Usock.Handle.new_pair(type)
        return first, second

    @staticmethod
    def connected(where, type=Usock.SockType.STREAM, timeout=-1, cancellable=None):
        """Makes a handle and connects it: to a path, a tuple of host and port, which is looked
        up, or any Gio.SocketConnectable."""
        if isinstance(where, tuple):
            where = Gio.NetworkAddress.new(*where)
        if isinstance(where, Gio.SocketConnectable):
            return Usock.Handle.new_connected(where, type, timeout, cancellable)
        path = _as_connect_path(where)
        handle = Handle(Usock.Family.UNIX, type)
        handle.open(path, timeout)
        return handle

    @staticmethod
    def listening(where, type=Usock.SockType.STREAM, backlog=0):
        """Makes a handle that listens, or receives datagrams, on a path or a
        Gio.SocketAddress."""
        if isinstance(where, Gio.SocketAddress):
            return Usock.Handle.new_listening(where, type, backlog)
        path = _as_bind_path(where)
        handle = Handle(Usock.Family.UNIX, type)
        handle.bind(path)
        if type != Usock.SockType.DGRAM:
            handle.listen(backlog)
        return handle

    def fileno(self):
        return self.get_fd()

    def bind(self, where=None):
        """Binds to a path or a Gio.SocketAddress; without one, to what the kernel chooses."""
        if where is None or isinstance(where, Gio.SocketAddress):
            return self.bind_to_address(where)
        return self.bind_to_path(_as_bind_path(where))

    def open(self, where, timeout=-1):
        """Connects to a path or a Gio.SocketAddress. None parts from the peer of datagrams."""
        if where is None or isinstance(where, Gio.SocketAddress):
            return self.connect_to_address(where, timeout)
        return self.connect_to_path(_as_connect_path(where), timeout)

    def listen(self, backlog=0):
        return Usock.Handle.listen(self, backlog)

    def accept(self, timeout=-1):
        """Returns the handle of a connection, and the address of the peer."""
        _wait_for(self, Usock.PollFlags.IN, timeout, 0)
        handle, address = Usock.Handle.accept(self, timeout)
        return handle, address

    def send(self, data, destination=None, flags=0, timeout=-1, offset=0, length=None):
        """Returns how many bytes were sent, of a bytes, a buffer, a str or a GLib.Bytes."""
        return self.send_to(_slice(_as_bytes(data), offset, length), destination, flags, timeout)

    def sendmsg(self, message, destination=None, flags=0, timeout=-1, fds=None):
        """Sends a Usock.Message, or what one is made of: bytes, or a list of them as segments."""
        if not isinstance(message, Usock.Message):
            parts = message if isinstance(message, (list, tuple)) else [message]
            first, *rest = parts or [b'']
            message = Message(first, fds or ())
            for part in rest:
                message.append_bytes(GLib.Bytes.new(_as_bytes(part)))
        elif fds is not None:
            raise TypeError('a Usock.Message is sent with the descriptors that are in it')
        return Usock.Handle.sendmsg(self, message, destination, flags, timeout)

    def receive(self, max_size=65536, flags=0, timeout=-1):
        """Returns bytes, which may be none, or None at the end."""
        _wait_for(self, _receive_condition(flags), timeout, flags)
        received = Usock.Handle.receive(self, max_size, flags, timeout)
        return None if received is None else received.get_data() or b''

    def recvmsg(self, sizes=65536, flags=0, timeout=-1):
        """Returns a Usock.Message, or None at the end. With a list of sizes, it has segments."""
        _wait_for(self, _receive_condition(flags), timeout, flags)
        if isinstance(sizes, int):
            return Usock.Handle.recvmsg(self, sizes, flags, timeout)
        return self.recvmsg_segments(_listed(sizes, 'sizes'), flags, timeout)

    def recvmsg_into(self, buffer, flags=0, timeout=-1):
        """Fills a buffer. Returns the Usock.Message and how many bytes were written, or None and
        0 at the end."""
        view = memoryview(buffer).cast('B')
        message = self.recvmsg(len(view), flags, timeout)
        if message is None:
            return None, 0
        n = len(message)
        view[:n] = message.data
        return message, n


def _wait_for_any(sockets, conditions, cancellable):
    import select
    poll = select.poll()
    for socket, condition in zip(sockets, conditions):
        poll.register(socket.get_fd(), condition)
    fd = cancellable.get_fd() if cancellable else -1
    if fd >= 0:
        poll.register(fd, Usock.PollFlags.IN)
    try:
        poll.poll()
    finally:
        if fd >= 0:
            cancellable.release_fd()


@export
def poll(items, timeout=-1, cancellable=None):
    """Waits for one of several sockets. An item is a socket, for something to receive, or a tuple
    of a socket, Usock.PollFlags and whatever else. Returns those that are ready, as tuples of the
    item and its Usock.PollFlags: none when the time is over."""
    items = _listed(items, 'sockets')
    parts = [item if isinstance(item, tuple) else (item, Usock.PollFlags.IN) for item in items]
    sockets = [part[0] for part in parts]
    conditions = [int(part[1]) for part in parts]
    for socket in sockets:
        if not isinstance(socket, Usock.Socket):
            raise TypeError(f'what is polled is a Usock.Socket, or a tuple that begins with one, '
                            f'not {type(socket).__name__}')
    ready = Usock.poll(sockets, conditions, max(timeout, 0), cancellable)
    while timeout < 0 and not any(ready):
        _wait_for_any(sockets, conditions, cancellable)
        ready = Usock.poll(sockets, conditions, 0, cancellable)
    return [(item, Usock.PollFlags(bits)) for item, bits in zip(items, ready) if bits]


@export
@override
class Server(Usock.Server):
    """A server, and a list of its channels: `len(server)`, `for channel in server`. It is true
    when that is empty as well.

    `async for channel in server` accepts: leaving the loop closes those channels that it did not
    hand out, but not the server. A handler of `authorize` that returns nothing refuses."""

    def listen_on_path(self, path, backlog=0):
        return Usock.Server.listen_on_path(self, _as_listen_path(path), backlog)

    @staticmethod
    def new_for_name(name):
        return Usock.Server.new_for_name(_refuse_nul(name, 'Could not listen on'))

    def listen_on_name(self, name, backlog=0):
        return Usock.Server.listen_on_name(self, _refuse_nul(name, 'Could not listen on'), backlog)

    def listen_on_fd(self, fd, backlog=0):
        """Listens on a number. From then on it is the server's: detach() it from its socket."""
        return Usock.Server.listen_on_fd(self, fd, backlog)

    def listen_activated(self, name=None):
        return Usock.Server.listen_activated(self, name)

    def listen_on_address(self, address, backlog=0):
        return Usock.Server.listen_on_address(self, address, backlog)

    def listen_on_host(self, host, port, backlog=0):
        """Listens by TCP. Without a host on all interfaces; port 0 is any."""
        if host is not None:
            _refuse_nul(host, 'Could not listen on')
        return Usock.Server.listen_on_host(self, host, port, backlog)

    def listen(self, where, backlog=0):
        """Listens on a path or a Gio.SocketAddress."""
        if isinstance(where, Gio.SocketAddress):
            return self.listen_on_address(where, backlog)
        return self.listen_on_path(where, backlog)

    def broadcast(self, data, offset=0, length=None, fds=None):
        """Sends what Channel.send() takes to all channels; returns how many accepted it."""
        return Usock.Server.broadcast(self, _as_message(data, offset, length, fds))

    def close_gracefully(self, timeout, cancellable=None):
        """Await it: all channels are closed, or timeout ms have gone by. Returns how many were
        cut."""
        return self.close_gracefully_async(timeout, cancellable)

    close_gracefully_async = _awaitable('close_gracefully', _same, of=Usock.Server)

    def __iter__(self):
        # What closes meanwhile is in the list still.
        return iter([self.get_item(i) for i in range(self.get_n_items())])

    def __bool__(self):
        return True

    async def __aiter__(self):
        accepted = _Accepted()
        handlers = [self.connect('connection', accepted.add), self.connect('close', accepted.end)]
        try:
            while (channel := await accepted.next()) is not None:
                yield channel
        finally:
            for handler in handlers:
                self.disconnect(handler)
            accepted.close()


@export
def notify(state, fds=()):
    """Tells the service manager. fds are numbers or objects with a fileno(), for FDSTORE=1."""
    return Usock.notify(_refuse_nul(state, 'Could not notify the service manager of'),
                        _as_fds(fds))


@export
def run_until_closed(context=None):
    """Iterates the context until no held socket is open there. Ctrl-C raises KeyboardInterrupt."""
    # Where the loop is in C, no exception can end it.
    context = context or GLib.MainContext.default()
    while Usock.count_held(context) > 0:
        _iterate(context)
