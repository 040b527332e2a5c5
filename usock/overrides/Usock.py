# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usock as Python's own: bytes go in and come out, messages are awaited and iterated.

Each call that may have to wait is a coroutine. There are three ways to run one:

* `Usock.run()` and `Usock.spawn()`, which iterate the GMainContext and nothing else. What asyncio
  has besides, they have as well: `Usock.sleep()`, `Usock.timeout()`, `Usock.Future`, `Usock.Queue`;
* asyncio, with any loop. The GMainContext is its guest then: the loop waits for one descriptor,
  nothing is polled, and signals come as they do elsewhere. A loop that runs on GLib itself, such as
  PyGObject's own since 3.50 (`gi.events`), needs no guest;
* a plain `for message in channel`, which iterates the GMainContext until there is one.

Whatever is awaited takes `timeout=`, in seconds. The immediate calls of Usock.Handle, which are not
awaited, count milliseconds as they do in C, and so do properties.

Nothing that was received is lost with an await that was cancelled: it is first in line again.

An error is a GLib.Error, and Python's own exception as well: ConnectionRefusedError, TimeoutError.
"""

from __future__ import annotations

import collections
import errno
import functools
import operator
import os
import re
import signal
import sys
import threading
import time
import weakref

from gi.repository import Gio, GLib, GObject

from .._ossighelper import register_sigint_fallback, wakeup_on_signal
from ..module import get_introspection_module
from ..overrides import override

Usock = get_introspection_module('Usock')

__all__ = []


def export(item):
    __all__.append(item.__name__)
    return item


# Errors

@export
class Error(GLib.Error):
    """What went wrong: a GLib.Error, and also the exception that Python has for it.

    All but one that tells of cancelling are an OSError, with its errno.
    """

    errno = None


class _SystemError(Error, OSError):
    def __init__(self, message, domain, code):
        super().__init__(message, domain, code)
        self.errno, self.strerror = type(self).number, message

    number = None


def _kind(number, *bases):
    name = bases[0].__name__ if bases else 'Error'
    return type(name, (_SystemError, *bases), {'number': number, '__module__': __name__})


_Code = Gio.IOErrorEnum
_KINDS = {code.real: _kind(number, *bases) for code, number, *bases in (
    (_Code.ADDRESS_IN_USE, errno.EADDRINUSE),
    (_Code.BUSY, errno.EBUSY),
    (_Code.CLOSED, errno.EBADF),
    (_Code.CONNECTION_CLOSED, errno.ECONNRESET, ConnectionResetError, BrokenPipeError),
    (_Code.CONNECTION_REFUSED, errno.ECONNREFUSED, ConnectionRefusedError),
    (_Code.EXISTS, errno.EEXIST, FileExistsError),
    (_Code.FILENAME_TOO_LONG, errno.ENAMETOOLONG),
    (_Code.HOST_UNREACHABLE, errno.EHOSTUNREACH),
    (_Code.INVALID_ARGUMENT, errno.EINVAL),
    (_Code.INVALID_DATA, errno.EBADMSG),
    (_Code.INVALID_FILENAME, errno.EINVAL),
    (_Code.IS_DIRECTORY, errno.EISDIR, IsADirectoryError),
    (_Code.MESSAGE_TOO_LARGE, errno.EMSGSIZE),
    (_Code.NETWORK_UNREACHABLE, errno.ENETUNREACH),
    (_Code.NOT_CONNECTED, errno.ENOTCONN),
    (_Code.NOT_DIRECTORY, errno.ENOTDIR, NotADirectoryError),
    (_Code.NOT_FOUND, errno.ENOENT, FileNotFoundError),
    (_Code.NOT_SUPPORTED, errno.EOPNOTSUPP),
    (_Code.NO_SPACE, errno.ENOSPC),
    (_Code.PARTIAL_INPUT, errno.ENODATA, EOFError),
    (_Code.PENDING, errno.EINPROGRESS),
    (_Code.PERMISSION_DENIED, errno.EACCES, PermissionError),
    (_Code.TIMED_OUT, errno.ETIMEDOUT, TimeoutError),
    (_Code.TOO_MANY_OPEN_FILES, errno.EMFILE),
    (_Code.WOULD_BLOCK, errno.EAGAIN, BlockingIOError),
)}
_KINDS[_Code.CANCELLED.real] = Error


# A datagram of somebody without a name has None for its sender, which is no destination.
_Nameless = _kind(errno.EDESTADDRREQ, TypeError)


@functools.lru_cache(None)
def _resolver_kind():
    from _socket import EAI_NONAME, gaierror
    return _kind(EAI_NONAME, gaierror)


def _told(error):
    """The exception for an error of the library."""
    if isinstance(error, Error):
        return error
    if error.domain == 'g-io-error-quark':
        kind = _KINDS.get(error.code, _SystemError)
    elif error.domain == 'g-resolver-error-quark':
        kind = _resolver_kind()
    else:
        kind = Error
    return kind(error.message, error.domain, error.code)


def _fail(code, message):
    return _told(GLib.Error(message, 'g-io-error-quark', code.real))


def _telling(function):
    """A call of the library that raises errors of ours."""
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except GLib.Error as error:
            raise _told(error) from None

    call.__name__ = function.__name__
    return call


def _raw(name):
    """A class of the library, whose methods raise errors of ours."""
    # Made when the class above it has its override: PyGObject derives it from that.
    cls = getattr(Usock, name)
    for info in cls.__info__.get_methods():
        if info.can_throw_gerror():
            call = _telling(getattr(cls, info.get_name()))
            setattr(cls, info.get_name(), call if info.is_method() else staticmethod(call))
    return cls


_parse, _notify, _poll, _acquire = map(_telling, (Usock.address_parse, Usock.notify, Usock.poll,
                                                  Usock.Guest.acquire))


class _Teller:
    """A handler of a signal that has an error: it gets ours. It is found by what it calls."""

    __slots__ = ('_handler',)

    def __init__(self, handler):
        self._handler = handler

    def __call__(self, *args):
        return self._handler(*[_told(arg) if isinstance(arg, GLib.Error) else arg for arg in args])

    def __eq__(self, other):
        return self._handler == other

    def __hash__(self):
        return hash(self._handler)


# What goes in

def _as_bytes(data):
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, GLib.Bytes):
        return data.get_data() or b''
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


def _as_fd(fd):
    return operator.index(fd.fileno() if hasattr(fd, 'fileno') else fd)


def _as_fds(fds):
    return [_as_fd(fd) for fd in _listed(fds, 'descriptors')]


def _given(take, fd):
    """Has a number taken over. An object keeps its descriptor: a copy is taken."""
    if not hasattr(fd, 'fileno'):
        return take(operator.index(fd))
    copy = os.dup(_as_fd(fd))
    try:
        return take(copy)
    except BaseException:
        os.close(copy)
        raise


def _as_milliseconds(timeout):
    if isinstance(timeout, float):
        raise TypeError(f'the timeout is a whole number of milliseconds, not {timeout}')
    return operator.index(timeout)


def _refuse(kind, what, type):
    """The families of enumerations have different numbers for the same."""
    if isinstance(type, kind):
        raise TypeError(f'the type is a {what}, not a {kind.__name__} of another module')
    return type


def _as_sock_type(type):
    return _refuse(Gio.SocketType, 'Usock.SockType', type)


def _as_socket_type(type):
    return _refuse(Usock.SockType, 'Gio.SocketType', type)


def _refuse_nul(text, what):
    # PyGObject hands over a C string, so that the call would be made with another name. What is no
    # text it refuses itself.
    if isinstance(text, str) and '\0' in text:
        shown = text.replace('\0', '\\0')
        raise _fail(_Code.INVALID_FILENAME, f'{what} “{shown}”: it has a NUL in it')
    return text


CONNECT, LISTEN = 'Could not connect to', 'Could not listen on'
BIND, SEND = 'Could not bind to', 'Could not send to'
START = 'Could not start'


def _as_path(path, what):
    """The path of a call that takes one and nothing else."""
    if isinstance(path, Gio.File):
        if path.get_path() is None:
            raise _fail(_Code.INVALID_FILENAME, f'{what} “{path.get_uri()}”: it has no path')
        path = path.get_path()
        return f'./{path}' if path.startswith('@') else path
    text = _refuse_nul(os.fsdecode(path), what)
    return f'./{text}' if text.startswith('@') and hasattr(path, '__fspath__') else text


_as_connect_path = functools.partial(_as_path, what=CONNECT)
_as_listen_path = functools.partial(_as_path, what=LISTEN)
_as_bind_path = functools.partial(_as_path, what=BIND)


def _as_host(host):
    return _refuse_nul(host, CONNECT)


# A port stands behind the last colon, and before it a name, a number with dots, or brackets.
_HOST_AND_PORT = re.compile(r'([^\s:/@\\\[\]]*):([0-9]+)')
_ESCAPE = re.compile(r'\\(\\|x[0-9A-Fa-f]{2})?')


def _unescaped(text, what):
    def replace(match):
        if match[1] is None:
            raise _fail(_Code.INVALID_ARGUMENT, f'{what} “{text}”: a backslash stands neither '
                        'before another nor before x and two hexadecimal digits')
        return b'\\' if match[1] == '\\' else bytes.fromhex(match[1][1:])

    pieces, end = [], 0
    for match in _ESCAPE.finditer(text):
        pieces += os.fsencode(text[end:match.start()]), replace(match)
        end = match.end()
    path = _refuse_nul(os.fsdecode(b''.join([*pieces, os.fsencode(text[end:])])), what)
    return f'./{path}' if path.startswith('@') else path


def _as_place(where, what):
    """Reads what a program names a place by: a Gio.SocketAddress, the path of a file, or a text.

    In a text, which is one grammar everywhere, `@name` is abstract, `host:port` and `[::1]:port`
    are the internet, and what has a slash or no port is a path. Returns a Gio.SocketAddress, a
    tuple of host and port, or a path or abstract name.
    """
    if isinstance(where, Gio.SocketAddress):
        return where
    if not isinstance(where, str):
        return _as_path(where, what)
    _refuse_nul(where, what)
    if where.startswith('['):
        return _parse(where)
    inet = _HOST_AND_PORT.fullmatch(where)
    if not inet:
        return where if where.startswith('@') or '\\' not in where else _unescaped(where, what)
    host, port = inet[1], int(inet[2])
    if port > 65535:
        raise _fail(_Code.INVALID_ARGUMENT, f'{what} “{where}”: there is no such port')
    return _parse(where) if GLib.hostname_is_ip_address(host) else (host, port)


def _as_address(where, what):
    """A Gio.SocketAddress, for calls that take nothing else. A name is looked up.

    A path without a slash could be a host and a port, so it gets one.
    """
    place = _as_place(where, what)
    if isinstance(place, Gio.SocketAddress):
        return place
    if isinstance(place, tuple):
        return _look_up(*place)
    if place.startswith('@'):
        return _parse(place)
    place = place if '/' in place else f'./{place}'
    return _parse(''.join(f'\\x{byte:02x}' if byte == 0x5c else chr(byte) if byte < 0x80
                          else f'\\x{byte:02x}' for byte in os.fsencode(place)))


def _as_destination(where, only_ipv4=False):
    """A text as the library reads it, or a Gio.SocketAddress."""
    if where is None:
        raise _Nameless('Could not answer: the sender has no name', 'g-io-error-quark',
                        _Code.INVALID_ARGUMENT.real)
    if isinstance(where, Gio.SocketAddress):
        return where
    if isinstance(where, str):
        place = _as_place(where, SEND) if _HOST_AND_PORT.fullmatch(where) else None
        if isinstance(place, tuple):
            return _look_up(*place, only_ipv4)
        return _refuse_nul(where, SEND)
    path = _as_path(where, SEND).replace('\\', '\\\\')
    return path if '/' in path else f'./{path}'


@export
def address_parse(text: str) -> Gio.SocketAddress:
    return _parse(_refuse_nul(text, 'Could not parse the address'))


# Under asyncio

class _Here(threading.local):
    """What each thread has of its own."""

    loop = None        # The loop of asyncio that our own task, which runs, is not to see.
    is_hidden = False
    host = None        # A weak reference to that of the loop that was asked for last.
    expects = False    # Sockets were made before there was a loop.
    interrupts = None  # What wants to leave the innermost loop of ours.
    task = None        # The one that runs.
    depth = None       # How deep the main loop was when tasks were stepped.
    goes_on = False    # More of them are to be stepped in the next turn.

    def __init__(self):
        self.ready = collections.deque()


_here = _Here()


def _running_loop():
    # Importing asyncio costs more than all the rest; a program that runs it has done so.
    events = sys.modules.get('asyncio.events')
    return events._get_running_loop() if events else None


def _asyncio_loop():
    """The loop of asyncio that whoever awaits now is run by, or None for a task of ours."""
    loop = _running_loop()
    return None if _here.is_hidden and loop is _here.loop else loop


def _runs_on_glib(loop):
    return any(base.__module__.partition('.')[0] in ('gi', 'gbulb') for base in type(loop).__mro__)


class _Host:
    """Has a loop of asyncio run the GMainContext, as its guest."""

    hosts = weakref.WeakKeyDictionary()

    def __init__(self, loop):
        self.loop = weakref.ref(loop)
        self._guest = None
        if not _runs_on_glib(loop):
            self._guest = _acquire(None)
            loop.add_reader(self._guest.get_fd(), self._guest.turn)
            self._look_before_waiting(loop)

    def _look_before_waiting(self, loop):
        # What GLib.timeout_add() adds nobody tells of. Where this can not be done that alone is
        # seen later, in the next turn.
        selector = getattr(loop, '_selector', None)
        select, look = getattr(selector, 'select', None), self._guest.look

        def look_and_select(timeout=None):
            if timeout is None or timeout > 0:
                look()
            return select(timeout)

        if callable(select):
            try:
                selector.select = look_and_select
            except AttributeError:
                pass

    @classmethod
    def of(cls, loop):
        """The host of a loop, which is made with the first call."""
        host = _here.host and _here.host()
        if host is None or host.loop() is not loop:
            host = cls.hosts.get(loop)
            if host is None:
                host = cls.hosts[loop] = cls(loop)
            _here.host = weakref.ref(host)
        return host

    def stir(self):
        if self._guest:
            self._guest.stir()


def _expect_asyncio():
    """Sockets that were made before the loop runs are to be alive in it as well."""
    _here.expects = True
    asyncio = sys.modules.get('asyncio.base_events')
    if asyncio is None or hasattr(asyncio.BaseEventLoop.run_forever, 'is_host'):
        return
    run_forever = asyncio.BaseEventLoop.run_forever

    @functools.wraps(run_forever)
    def run_forever_as_host(self):
        if _here.expects and not self.is_closed():
            self.call_soon(_Host.of, self)
        return run_forever(self)

    run_forever_as_host.is_host = True
    asyncio.BaseEventLoop.run_forever = run_forever_as_host


def _is_used():
    """To be called where a program begins to use a socket."""
    loop = _running_loop()
    if loop is not None:
        try:
            _Host.of(loop).stir()
        except GLib.Error:
            pass  # Whoever awaits something will be told.
    _expect_asyncio()


# In loops of our own

def _iterate(context):
    # Newer PyGObjects look for a loop of asyncio first, which takes longer than all the rest.
    if _running_loop() is None:
        super(GLib.MainContext, context).iteration(True)
    else:
        context.iteration(True)


def _iterate_until(is_over, context=None):
    """Iterates the context. What wants to leave the loop, Ctrl-C for one, is raised here, and not
    in whatever handler happens to run, where PyGObject would print it and go on."""
    if is_over():
        return
    context = context or GLib.MainContext.ref_thread_default()
    outer, depth = _here.interrupts, _here.depth
    interrupts = _here.interrupts = []
    _here.depth = None

    def interrupt():
        interrupts.append(KeyboardInterrupt())
        context.wakeup()

    try:
        with register_sigint_fallback(interrupt):
            while not is_over() and not interrupts:
                _iterate(context)
    finally:
        _here.interrupts, _here.depth = outer, depth
    if interrupts:
        raise interrupts[0]


def _interrupt(error):
    """What ends the program leaves the innermost loop. In one of GLib's, PyGObject ends it."""
    if _here.interrupts is None:
        raise error
    _here.interrupts.append(error)


def _soon(callback, seconds=0, context=None):
    """Calls it from the context. Returns a source, to be destroyed if that is no longer wanted."""
    source = GLib.timeout_source_new(max(0, min(-int(-seconds * 1000 // 1), 0xffffffff)))
    source.set_callback(lambda *_: callback() and False)
    source.attach(context or GLib.MainContext.ref_thread_default())
    return source


class _Timer:
    """Calls once, unless it is stopped before, in whatever loop runs."""

    __slots__ = ('_stop', '_callback')

    def __init__(self, seconds, callback):
        self._callback = callback
        loop = _asyncio_loop()
        if loop is not None:
            self._stop = loop.call_later(seconds, callback).cancel
        else:
            self._stop = _soon(self._over, seconds).destroy

    def _over(self):
        # What has come in this very turn has come in time.
        self._stop = _soon(self._callback).destroy

    def stop(self):
        self._stop()


class _Awaitable:
    """What our tasks wait for: `_begin(wake)` begins, and wake() is called once."""

    __slots__ = ()


def _set_future(future):
    if not future.done():
        future.set_result(None)


@export
class Future(_Awaitable):
    """A value that is not there yet. Whoever awaits it gets it, however many they are."""

    __slots__ = ('_is_done', '_value', '_error', '_wakes', '__weakref__')

    def __init__(self) -> None:
        self._is_done = False
        self._value = self._error = None
        self._wakes = []

    def done(self) -> bool:
        return self._is_done

    def result(self) -> Any:
        """Returns the value, or raises the error."""
        if not self._is_done:
            raise RuntimeError('the future is not done')
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self) -> BaseException | None:
        if not self._is_done:
            raise RuntimeError('the future is not done')
        return self._error

    def set_result(self, value: Any) -> None:
        self._settle(value, None)

    def set_exception(self, error: BaseException | type[BaseException]) -> None:
        self._settle(None, error() if isinstance(error, type) else error)

    def cancel(self) -> bool:
        """Whoever awaits it fails with Gio.IOErrorEnum.CANCELLED. Returns whether it was not done."""
        if self._is_done:
            return False
        self._settle(None, _cancelled())
        return True

    def _settle(self, value, error):
        if self._is_done:
            raise RuntimeError('the future is done already')
        self._is_done = True
        self._value, self._error = value, error
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._is_done:
            loop = _asyncio_loop()
            if loop is None:
                yield self
            else:
                yield from self._await_in(loop)
        return self.result()

    def _await_in(self, loop):
        _Host.of(loop)
        future = loop.create_future()
        wake = functools.partial(_set_future, future)
        self._wakes.append(wake)
        try:
            yield from future
        finally:
            self._forget(wake)

    def _begin(self, wake):
        self._wakes.append(wake)

    def _forget(self, wake):
        if wake in self._wakes:
            self._wakes.remove(wake)

    def _pass_on_cancel(self):
        """Whether who waits for it is to be told by it that it was cancelled."""
        return False


def _is_cancellation(error):
    return isinstance(error, GLib.Error) and error.matches(Gio.io_error_quark(), _Code.CANCELLED)


def _cancelled():
    return _fail(_Code.CANCELLED, 'The task was cancelled')


# How many steps the tasks may wake each other for until the main loop has its turn.
_STEPS = 100


def _step_tasks():
    depth, _here.depth = _here.depth, GLib.main_depth()
    try:
        for _ in range(_STEPS):
            if not _here.ready:
                return
            _here.ready.popleft()()
        if not _here.goes_on:
            _here.goes_on = True
            _soon(_go_on_stepping)
    finally:
        _here.depth = depth


def _go_on_stepping():
    _here.goes_on = False
    _step_tasks()


@export
class Task(Future):
    """A coroutine that the GMainContext drives. It can be awaited itself."""

    __slots__ = ('_coroutine', '_waits_for', '_cancelling', '_is_cancelled', '_is_seen')

    def __init__(self, coroutine: Awaitable[_T]) -> None:
        super().__init__()
        # What is awaited alone, such as a future, has no send() of its own.
        self._coroutine = coroutine if hasattr(coroutine, 'send') else coroutine.__await__()
        self._waits_for = self._cancelling = None
        self._is_cancelled = self._is_seen = False
        self._begin_step()

    def result(self) -> Any:
        """Returns what the coroutine returned, or raises what it raised."""
        if not self._is_done:
            raise RuntimeError('the task is not done')
        self._is_seen = True
        return super().result()

    def exception(self) -> BaseException | None:
        self._is_seen = True
        return super().exception()

    def cancel(self) -> bool:
        """Makes what is waited for fail with Gio.IOErrorEnum.CANCELLED. Returns whether the task
        was not done."""
        if self._is_done:
            return False
        self._is_cancelled = True
        waits_for = self._waits_for
        if waits_for is not None and waits_for._pass_on_cancel():
            return True
        self._cancelling = _cancelled()
        if waits_for is not None:
            waits_for._forget(self._wake)
            self._wake()
        return True

    def _pass_on_cancel(self):
        return self.cancel()

    def _wake(self):
        self._waits_for = None
        _here.ready.append(self._step)
        # In a nested main loop nobody would get to what stands in line out there.
        if _here.depth is None or GLib.main_depth() > _here.depth:
            _step_tasks()

    def _begin_step(self):
        # Whom it wakes is stepped after it, and not inside.
        depth, _here.depth = _here.depth, GLib.main_depth()
        try:
            self._step()
        finally:
            _here.depth = depth
        if depth is None and _here.ready:
            _step_tasks()

    def _step(self):
        if self._is_done:
            return
        outer = _here.task, _here.loop, _here.is_hidden
        _here.task, _here.loop, _here.is_hidden = self, _running_loop(), True
        try:
            self._advance()
        except StopIteration as stop:
            self._finish(stop.value, None)
        except (KeyboardInterrupt, SystemExit) as error:
            self._is_seen = True
            self._finish(None, error)
            _interrupt(error)
        except BaseException as error:
            self._finish(None, error)
        finally:
            _here.task, _here.loop, _here.is_hidden = outer

    def _advance(self):
        error = None
        while True:
            if self._cancelling is not None:
                error, self._cancelling = self._cancelling, None
            awaited = (self._coroutine.send(None) if error is None
                       else self._coroutine.throw(error))
            error = self._judge(awaited)
            if error is None and self._cancelling is None:
                self._waits_for = awaited
                awaited._begin(self._wake)
                return

    def _judge(self, awaited):
        if awaited is self:
            return RuntimeError('a task can not wait for itself')
        if not isinstance(awaited, _Awaitable):
            return TypeError('Usock.run() and Usock.spawn() await what usock offers; a coroutine '
                             'that awaits more is for asyncio.run()')
        return None

    def _drop(self):
        if self._coroutine is not None:
            self._coroutine.close()

    def _finish(self, value, error):
        self._coroutine = self._waits_for = None
        self._settle(value, error)

    def __del__(self) -> None:
        if self._is_done and self._error is not None and not self._is_seen and not (
                # Who cancelled it knows how it ended.
                self._is_cancelled and _is_cancellation(self._error)):
            sys.excepthook(type(self._error), self._error, self._error.__traceback__)


@export
def spawn(coroutine: Awaitable[_T]) -> Any:
    """Starts a coroutine, which whoever iterates the GMainContext drives on. Under asyncio it
    becomes a task of asyncio's."""
    loop = _asyncio_loop()
    if loop is None:
        return Task(coroutine)
    return loop.create_task(coroutine if hasattr(coroutine, 'send') else _awaited(coroutine))


async def _awaited(awaitable):
    return await awaitable


def _block_on(coroutine):
    task = Task(coroutine)
    try:
        _iterate_until(task.done)
        return task.result()
    except BaseException:
        # Ctrl-C, for one: the blocks that the coroutine is in close what they opened.
        task._drop()
        raise


@export
def run(coroutine: Awaitable[_T]) -> _T:
    """Runs a coroutine to its end, iterating the GMainContext, and returns what it returns.
    Ctrl-C raises KeyboardInterrupt here, and sys.exit() in any task of ours leaves as well."""
    if _asyncio_loop() is not None:
        if hasattr(coroutine, 'close'):
            coroutine.close()
        raise RuntimeError('asyncio runs here already: await it')
    with wakeup_on_signal():
        return _block_on(coroutine)


@export
async def pump() -> None:
    """Runs the GMainContext until it is cancelled: a task for asyncio, which does so anyway as soon
    as a socket is used there."""
    _Host.of(_asyncio_loop())
    await _asyncio_loop().create_future()


# For programs without asyncio, and in it too

@export
async def sleep(seconds: float) -> None:
    """Await it: so many seconds have gone by."""
    future = Future()
    timer = _Timer(seconds, lambda: _finish_waiting(future))
    try:
        await future
    finally:
        timer.stop()


def _finish_waiting(future):
    if not future.done():
        future.set_result(None)


def _timed_out(seconds):
    # What was left of a longer wait has many digits, and may be less than nothing.
    return _fail(_Code.TIMED_OUT, f'Waited {max(0, round(seconds, 3)):g} s in vain')


class _Timeout:
    """Cancels what its block awaits when the time is over, which is a TimeoutError outside."""

    def __init__(self, seconds):
        self._seconds = seconds
        self._timer = self._task = None
        self._is_over = False

    async def __aenter__(self):
        self._task = _here.task
        if self._task is None:
            raise RuntimeError('Usock.timeout() is for a task of Usock.run() or Usock.spawn()')
        if self._seconds is not None:
            self._timer = _Timer(self._seconds, self._end)
        return self

    def _end(self):
        self._is_over = True
        self._task.cancel()

    async def __aexit__(self, error_type, error, _traceback):
        if self._timer:
            self._timer.stop()
        if not self._is_over:
            return
        # It may have gone off when nothing was awaited any more.
        self._task._cancelling = None
        if _is_cancellation(error):
            raise _timed_out(self._seconds) from error


@export
def timeout(seconds: float | None) -> AbstractAsyncContextManager[Any]:
    """`async with Usock.timeout(5):` raises TimeoutError when the block takes longer. None is for
    ever."""
    if _asyncio_loop() is not None:
        import asyncio
        return asyncio.timeout(seconds)
    return _Timeout(seconds)


async def _within(seconds, future):
    """Awaits a future for so long."""
    if seconds is None:
        return await future
    timer = _Timer(seconds, lambda: future.done() or future.set_exception(_timed_out(seconds)))
    try:
        return await future
    finally:
        timer.stop()


@export
class Queue:
    """Items on their way from one task to another. Who puts into one that is full waits."""

    def __init__(self, maxsize: int = 0) -> None:
        self._maxsize = maxsize
        self._items = collections.deque()
        self._getters = collections.deque()
        self._putters = collections.deque()

    def qsize(self) -> int:
        return len(self._items)

    def empty(self) -> bool:
        return not self._items

    def full(self) -> bool:
        return 0 < self._maxsize <= len(self._items)

    def put_nowait(self, item: Any) -> None:
        """Raises queue.Full if there is no room."""
        if self.full():
            from queue import Full
            raise Full
        self._items.append(item)
        self._wake(self._getters)

    def get_nowait(self) -> Any:
        """Raises queue.Empty if there is nothing."""
        if not self._items:
            from queue import Empty
            raise Empty
        item = self._items.popleft()
        self._wake(self._putters)
        return item

    async def put(self, item: Any, *, timeout: float | None = None) -> None:
        """Await it: the item is in the queue."""
        await self._wait_in(self._putters, self.full, timeout)
        self.put_nowait(item)

    async def get(self, *, timeout: float | None = None) -> Any:
        """Await it: the next item."""
        await self._wait_in(self._getters, self.empty, timeout)
        return self.get_nowait()

    def __aiter__(self) -> Queue:
        return self

    async def __anext__(self) -> Any:
        return await self.get()

    @staticmethod
    def _wake(line):
        while line:
            first = line.popleft()
            if not first.done():
                first.set_result(None)
                return

    async def _wait_in(self, line, must_wait, timeout):
        """Nothing is taken before who waits is awake, so that nothing is lost if it gives up."""
        until = None if timeout is None else time.monotonic() + timeout
        while must_wait():
            mine = Future()
            line.append(mine)
            try:
                await _within(None if until is None else until - time.monotonic(), mine)
            except BaseException:
                if mine in line:
                    line.remove(mine)
                elif not must_wait():
                    self._wake(line)
                raise


# Calls of the library

class _Call(Future):
    """One asynchronous call of the library, and its GAsyncResult."""

    __slots__ = ('_own', '_user', '_link', '_finish', '_is_given_up')

    def __init__(self, start, finish, user):
        super().__init__()
        self._finish = finish
        self._user = user
        self._link = None
        self._is_given_up = False
        self._own = Gio.Cancellable()
        if user is not None:
            # Gio.Cancellable.connect() is another function, one that holds a lock meanwhile.
            self._link = GObject.Object.connect(user, 'cancelled', self._cancel)
            if user.is_cancelled():
                self._own.cancel()
        try:
            start(self._own, self._done)
        except BaseException:
            self._unlink()
            raise

    def _cancel(self, *_):
        self._own.cancel()

    def _unlink(self):
        if self._link:
            GObject.Object.disconnect(self._user, self._link)
            self._link = None

    def _done(self, _source, result):
        self._unlink()
        if not self._is_given_up:
            self.set_result(result)
            return
        try:
            self._finish(result)
        except GLib.Error:
            pass

    def _pass_on_cancel(self):
        self._own.cancel()
        return True

    def give_up(self):
        self._is_given_up = True
        self._own.cancel()


async def _call(start, finish, cancellable=None, timeout=None):
    call = _Call(start, finish, cancellable)
    try:
        result = await _within(timeout, call)
    except BaseException:
        call.give_up()
        raise
    return finish(result)


def _cancel_with(cancellable, future):
    """Fails the future when the cancellable is cancelled, in whatever thread. Returns what undoes
    it."""
    context = GLib.MainContext.ref_thread_default()
    thread = threading.get_ident()

    def fail():
        if not future.done():
            future.set_exception(_fail(_Code.CANCELLED, 'Operation was cancelled'))

    def cancelled(_):
        if threading.get_ident() == thread:
            fail()
            return
        _soon(fail, context=context)
        context.wakeup()

    link = GObject.Object.connect(cancellable, 'cancelled', cancelled)
    if cancellable.is_cancelled():
        fail()
    return lambda: GObject.Object.disconnect(cancellable, link)


class _Want:
    """What a receive waits for: how to begin and end the call, how to make of what it brought the
    message that it was, and again what is wanted; and how several are taken that are there."""

    __slots__ = ('start', 'finish', 'args', 'undo', 'cut', 'ahead')

    def __init__(self, start, finish, args=(), undo=None, cut=None, ahead=None):
        self.start, self.finish, self.args = start, finish, args
        self.undo, self.cut, self.ahead = undo, cut, ahead

    def is_like(self, other):
        return self.start is other.start and self.args == other.args


class _Ahead:
    """How what was read already is taken, that many at the most; what of it is wanted; and the
    messages that it goes back as."""

    __slots__ = ('most', 'take', 'serve', 'undo')

    def __init__(self, most, take, serve, undo):
        self.most, self.take, self.serve, self.undo = most, take, serve, undo


_NOTHING = object()

# Whoever listens to one of these takes what comes.
_TAKING = ('data', 'message', 'batch', 'datagram')


@functools.lru_cache(None)
def _taking_signals(kind):
    names = GObject.signal_list_names(kind)
    return [GObject.signal_lookup(name, kind) for name in _TAKING if name in names]


def _is_listened_to(socket):
    kind = Usock.Dgram if isinstance(socket, Usock.Dgram) else Usock.Channel
    return any(GObject.signal_has_handler_pending(socket, number, 0, False)
               for number in _taking_signals(kind))


class _Line:
    """Those who wait for the next of one socket, and what has come for them.

    There is one call of the library at a time, for the first in line. What it brings is taken when
    that one runs again, and not before: so if it gives up it takes nothing with it, and the next in
    line is the first.

    Where nobody waits, what was read already is taken together, and is given one by one, without a
    call, a future or a turn of the loop for each. It goes back before anybody else could take what
    comes after it. After so many the next is waited for all the same, so that a flood leaves room
    for other tasks.
    """

    __slots__ = ('_waiting', '_call', '_cancelled', '_spare', '_wanted', '_result', '_rest',
                 'ahead', 'ahead_of', '_since', 'last')

    def __init__(self):
        self._waiting = collections.deque()  # Of (want, future).
        self._call = None                    # The cancellable of the call.
        self._cancelled = False
        self._spare = None                   # One that was never cancelled: making it takes long.
        self._wanted = None                  # By the call, or for the result.
        self._result = None                  # A tuple of value and error.
        self._rest = []                      # Messages that the library takes back no more.
        self.ahead = collections.deque()     # What was taken, and is next: nobody waits then.
        self.ahead_of = None                 # What it is.
        self._since = 0                      # How many, since somebody waited.
        self.last = None                     # The line given of those; '' if it was none.

    def holds_messages(self):
        return self._rest or self._result is not None and self._result[0] is not None

    def shift(self, socket, want):
        """Returns what is there already, or _NOTHING if there is nothing, or nobody may have it
        before others."""
        if self.ahead:
            if self.ahead_of is want:
                return want.ahead.serve(self)
            self.settle(socket)
        if self._waiting or self._call is not None or self._result is not None or self._rest:
            return _NOTHING
        ahead = want.ahead
        if ahead is None or self._since >= ahead.most or (
                socket._was_listened_to and _is_listened_to(socket)):
            return _NOTHING
        taken = ahead.take(socket, ahead.most)
        if not taken:
            return _NOTHING
        self._since += len(taken)
        self.last = ''
        self.ahead.extend(taken)
        self.ahead_of = want
        return ahead.serve(self)

    def settle(self, socket):
        """Puts what was taken ahead back to where it came from, for who takes it otherwise."""
        if self.ahead:
            messages = self.ahead_of.ahead.undo(self.ahead)
            self.ahead.clear()
            self._put_back(socket, messages)

    def _put_back(self, socket, messages):
        try:
            _unread_messages(socket, messages)
        except GLib.Error:
            self._rest += messages

    def drop(self):
        """The program throws away what it has not received."""
        self.ahead.clear()
        self._rest.clear()
        channel = self._result and not self._waiting and self._result[0]
        if isinstance(channel, Usock.Channel):
            # A server is not over before its last connection is.
            self._result = None
            channel.close()

    async def take(self, socket, want, cancellable=None, timeout=None):
        if cancellable is None or not cancellable.is_cancelled():
            value = self.shift(socket, want)
            if value is not _NOTHING:
                return value
        self.settle(socket)
        self.last = None
        place = want, _new_future()
        unlink = cancellable and _cancel_with(cancellable, place[1])
        self._waiting.append(place)
        try:
            self._advance(socket)
            await (place[1] if timeout is None else _within(timeout, place[1]))
        except BaseException:
            self._waiting.remove(place)
            self._advance(socket)
            raise
        finally:
            if unlink:
                unlink()
        return self._hand_out(socket, place)

    def _hand_out(self, socket, place):
        self._waiting.remove(place)
        (value, error), self._result = self._result, None
        if self._waiting:
            self._advance(socket)
        if error is not None:
            raise error
        return value

    def _advance(self, socket):
        first = self._waiting[0] if self._waiting else None
        if self._call is not None:
            if first is None or not first[0].is_like(self._wanted):
                self._cancelled = True
                self._call.cancel()
            return
        if self._result is not None and not self._fits(first) and self._undo(socket):
            self._result = None
        if first is None:
            return
        if self._result is None:
            self._start(socket, first[0])
        elif not first[1].done():
            first[1].set_result(None)

    def _fits(self, first):
        return first is not None and first[0].is_like(self._wanted)

    def _undo(self, socket):
        """Puts what nobody takes back to where it came from. The end and errors come again."""
        value, _error = self._result
        if value is None:
            return True
        if self._wanted.undo is None:
            return False
        self._put_back(socket, [self._wanted.undo(value, socket)])
        return True

    def _start(self, socket, want):
        self._wanted = want
        self._since = 0
        if self._rest:
            self._result = want.cut(self._rest, *want.args)
            self._advance(socket)
            return
        self._call, self._spare = self._spare or Gio.Cancellable(), None
        self._cancelled = False
        try:
            want.start(socket, *want.args, self._call, self._done)
        except BaseException:
            self._call = None
            raise

    def _done(self, socket, result):
        if not self._cancelled:
            self._spare = self._call
        self._call = None
        try:
            self._result = self._wanted.finish(socket, result), None
        except GLib.Error as error:
            is_ours = self._cancelled and error.matches(Gio.io_error_quark(), _Code.CANCELLED)
            self._result = None if is_ours else (None, _told(error))
        self._advance(socket)


def _new_future():
    """What the one who runs now can wait for."""
    loop = _asyncio_loop()
    if loop is None:
        return Future()
    _Host.of(loop)
    return loop.create_future()


async def _look_up_async(host, port, cancellable=None, timeout=None):
    found = Gio.NetworkAddress.new(host, port).enumerate()
    address = await _call(found.next_async, _telling(found.next_finish), cancellable, timeout)
    if address is None:
        raise _fail(_Code.NOT_FOUND, f'{CONNECT} “{host}:{port}”: it has no address')
    return address


def _in_thread(call):
    """Makes a call that blocks, which Ctrl-C ends as well. It gets a cancellable."""
    cancellable, outcome = Gio.Cancellable(), []

    def work():
        try:
            outcome.append((call(cancellable), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        cancellable.cancel()
        raise
    value, error = outcome[0]
    if error is not None:
        raise _told(error) if isinstance(error, GLib.Error) else error
    return value


def _look_up(host, port, only_ipv4=False):
    found = Gio.NetworkAddress.new(host, port).enumerate()
    while address := _in_thread(found.next):
        if not only_ipv4 or address.get_family() == Gio.SocketFamily.IPV4:
            return address
    raise _fail(_Code.NOT_FOUND, f'{CONNECT} “{host}:{port}”: it has no address')


def _unpack(value):
    if value.get_type_string() == 'ay':
        return value.get_data_as_bytes().get_data() or b''
    return value.unpack()


# The classes

@export
@override
class Message(_raw('Message')):
    """A message. One that is empty is true: only None says that there is no message."""

    def __new__(cls, data: _Data = b'', fds: Iterable[_Fd] = ()) -> Message:
        self = Usock.Message.new(_as_bytes(data))
        for fd in _as_fds(fds):
            Usock.Message.append_fd(self, fd)
        return self

    def __init__(self, data: _Data = b'', fds: Iterable[_Fd] = ()) -> None:
        pass

    @staticmethod
    def new_from_text(text: str) -> Message:
        return Usock.Message.new(_as_text(text))

    def append_fd(self, fd: _Fd) -> bool:
        """Adds a copy of a descriptor: a number, or what has a fileno()."""
        return Usock.Message.append_fd(self, _as_fd(fd))

    def append_fd_owned(self, fd: _Fd) -> bool:
        """Adds a number, which is the message's from now on, or a copy of what has a fileno()."""
        return _given(functools.partial(Usock.Message.append_fd_owned, self), fd)

    # Not a function of Python: it is asked of every message.
    data = property(Usock.Message.get_data)

    @property
    def text(self) -> str:
        return self.get_data().decode()

    @property
    def segments(self) -> list[bytes]:
        return [self.get_segment(i).get_data() or b'' for i in range(self.get_n_segments())]

    @property
    def controls(self) -> list[tuple[int, int, Any]]:
        """What came beside the bytes: a list of (level, type, value)."""
        records = self.get_controls()
        children = [records.get_child_value(i) for i in range(records.n_children())]
        return [(level, kind, _unpack(child.get_child_value(2).get_variant()))
                for child in children for level, kind, _ in [child.unpack()]]

    def lookup_control(self, level: int, type: int) -> Any:
        """The value of the first such record, or None."""
        value = Usock.Message.lookup_control(self, level, type)
        return None if value is None else _unpack(value)

    def append_control(self, level: int, type: int, value: Any) -> bool:
        """Adds a record: a number, bytes, or a GLib.Variant."""
        if isinstance(value, int):
            value = GLib.Variant('x', value)
        if isinstance(value, GLib.Variant):
            return self.append_control_value(level, type, value)
        return Usock.Message.append_control(self, level, type, GLib.Bytes.new(_as_bytes(value)))

    @property
    def sender(self) -> str | None:
        """Who sent a datagram, as text to answer to. None if the sender has no name."""
        return self.get_sender()

    def __bytes__(self) -> bytes:
        return self.get_data()

    def __len__(self) -> int:
        return self.get_length()

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
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


# Of these signals the handler gets an error.
_TELLING = ('error', 'send-failed', 'send_failed')


@export
@override
class Socket(_raw('Socket')):
    """What all sockets have. Each is a descriptor for whatever takes one: it has a fileno()."""

    _line = None
    _was_listened_to = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _is_used()

    def connect(self, signal: str, handler: Callable[..., Any], *args: Any) -> int:
        """Has a handler called for a signal. Where asyncio runs, nothing else is to be done."""
        return self._listen(super().connect, signal, handler, args)

    def connect_after(self, signal: str, handler: Callable[..., Any], *args: Any) -> int:
        return self._listen(super().connect_after, signal, handler, args)

    def connect_data(self, signal: str, handler: Callable[..., Any], *args: Any,
                     **kwargs: Any) -> int:
        return self._listen(super().connect_data, signal, handler, args, kwargs)

    def connect_object(self, signal: str, handler: Callable[..., Any], *args: Any) -> int:
        return self._listen(super().connect_object, signal, handler, args)

    def connect_object_after(self, signal: str, handler: Callable[..., Any], *args: Any) -> int:
        return self._listen(super().connect_object_after, signal, handler, args)

    def _listen(self, connect, signal, handler, args, kwargs={}):
        handler = _Teller(handler) if signal in _TELLING else handler
        number = connect(signal, handler, *args, **kwargs)
        _is_used()
        if signal in _TAKING:
            self._was_listened_to = True
        _settle(self)
        return number

    def close(self) -> None:
        _drop(self)
        Usock.Socket.close(self)

    def fileno(self) -> int:
        return self.get_fd()

    def get_option(self, level: int, name: int) -> Any:
        """Gets an option: a number, bool, text, bytes, tuple, list or dict, see the reference."""
        value = Usock.Socket.get_option(self, level, name)
        if value.get_type_string() == 'ay':
            return value.get_data_as_bytes().get_data() or b''
        return value.unpack()

    def set_option(self, level: int, name: int, value: Any = None) -> bool:
        """Sets an option to what get_option() gives, or to a GLib.Variant."""
        return Usock.Socket.set_option(self, level, name, _as_option(level, name, value))

    def steal_fd(self) -> tuple[int, bytes]:
        """Takes the descriptor away; returns it, and the bytes that were read ahead."""
        _has_all_told(self)
        fd, unread = Usock.Socket.steal_fd(self)
        return fd, _unread(unread)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.close()

    def destroy(self, error: BaseException | None = None) -> None:
        """Closes at once. An error, of any class, is what the error signal then tells."""
        if error is None:
            self.close()
            return
        _drop(self)
        if not isinstance(error, GLib.Error):
            error = GLib.Error.new_literal(Gio.io_error_quark(), str(error) or repr(error),
                                           Gio.IOErrorEnum.FAILED)
        Usock.Socket.destroy(self, error)


def _settle(socket):
    """Nobody but the library holds anything that was received."""
    if socket._line is not None:
        socket._line.settle(socket)


def _drop(socket):
    if socket._line is not None:
        socket._line.drop()


def _has_all_told(socket):
    """Refuses to part with a connection of which a message waits here."""
    _settle(socket)
    line = socket._line
    if line is not None and line.holds_messages():
        raise _fail(_Code.PENDING, 'Could not give a connection away: a message was read from it '
                    'that nobody has received yet')


def _whole(message, offset, length, fds):
    if offset != 0 or length is not None or fds is not None:
        raise TypeError('a Usock.Message is sent whole, with the descriptors that are in it')
    return message


def _as_message(data, offset, length, fds):
    if isinstance(data, Usock.Message):
        return _whole(data, offset, length, fds)
    return Message(_slice(_as_bytes(data), offset, length), fds or ())


def _awaitable(name, *prepare, of=Usock.Channel):
    """Makes NAME_async() a coroutine when it is given no callback.

    There is a function in prepare for each argument, which makes it fit.
    """
    n_args = len(prepare)
    start = getattr(of, name + '_async')
    finish = getattr(of, name + '_finish')

    def method(self, *args, timeout=None, **kwargs):
        args = [fit(arg) for fit, arg in zip(prepare, args)] + list(args[n_args:])
        if any(map(callable, args)) or callable(kwargs.get('callback')):
            return start(self, *args, **kwargs)
        cancellable = args.pop() if len(args) > n_args else kwargs.pop('cancellable', None)
        if len(args) != n_args or kwargs:
            raise TypeError(f'{name}_async() takes {n_args} arguments, a cancellable and a '
                            'callback, or a timeout')
        return _call(functools.partial(start, self, *args), functools.partial(finish, self),
                     cancellable, timeout)

    method.__name__ = name + '_async'
    return method


def _line_of(socket):
    # Made when first asked for: what a server accepted was never initialised here.
    line = socket._line
    if line is None:
        line = socket._line = _Line()
    return line


def _same(argument):
    return argument


# What is called for each message tells of errors itself.
_raw_send, _raw_send_with_fds = Usock.Channel.send, Usock.Channel.send_with_fds
_raw_send_message, _raw_send_now = Usock.Channel.send_message, Usock.Channel.send_now
_unread_messages, _take_messages = Usock.Channel.unread_messages, Usock.Channel.take_messages
_take_joined = Usock.Channel.take_payloads
_receive, _received = Usock.Channel.receive_async, Usock.Channel.receive_finish

_RawChannel = _raw('Channel')

# How many are taken, or sent, until the loop has its turn.
_MESSAGES_AHEAD, _LINES_AHEAD, _SENDS = 64, 256, 128


def _again(value, _socket):
    return value


def _cut_piece(rest):
    return rest.pop(0), None


def _serve_message(line):
    return line.ahead.popleft()


_MESSAGES = _Ahead(_MESSAGES_AHEAD, _take_messages, _serve_message, list)
_MESSAGE = _Want(_receive, _received, (), _again, _cut_piece, _MESSAGES)


def _take_payloads(channel, most):
    joined, lengths = _take_joined(channel, most)
    if len(lengths) == 1:
        return [joined]
    end = 0
    return [joined[end:(end := end + length)] for length in lengths]


def _payloads_again(payloads):
    return [Message(payload) for payload in payloads]


# Those that wait get messages: what more there is than bytes goes back with them.
_PAYLOADS = _Ahead(_MESSAGES_AHEAD, _take_payloads, _serve_message, _payloads_again)
_PAYLOAD = _Want(_receive, _received, (), _again, _cut_piece, _PAYLOADS)


class _Messages:
    """The messages of a channel. Leaving a loop over them leaves the channel open, and what was
    taken ahead is next."""

    __slots__ = ('_channel', '_line', '_ahead')

    def __init__(self, channel):
        self._channel = channel
        self._line = _line_of(channel)
        self._ahead = self._line.ahead

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._ahead and self._line.ahead_of is _MESSAGE:
            return self._ahead.popleft()
        message = await self._line.take(self._channel, _MESSAGE)
        if message is None:
            raise StopAsyncIteration
        return message


class _Payloads(_Messages):
    """Their bytes alone, for both kinds of loop."""

    __slots__ = ()

    async def __anext__(self):
        if self._ahead and self._line.ahead_of is _PAYLOAD:
            return self._ahead.popleft()
        item = await self._line.take(self._channel, _PAYLOAD)
        if item is None:
            raise StopAsyncIteration
        return item if type(item) is bytes else item.data

    def __iter__(self):
        return self

    def __next__(self):
        item = self._line.shift(self._channel, _PAYLOAD)
        if item is _NOTHING:
            item = _block_on(self._channel.receive())
        if item is None:
            raise StopIteration
        return item if type(item) is bytes else item.data


@export
@override
class Channel(_RawChannel):
    """Adds bytes, awaiting and iterating. Leaving a loop over the messages leaves the channel
    open. Leaving a block without an exception sends what waits in the queue first; leaving it with
    one closes at once."""

    _n_sent = 0  # At once, since one was waited for.

    def connect_to_path(self, path: _Path) -> bool:
        return Usock.Channel.connect_to_path(self, _as_connect_path(path))

    def connect_to_name(self, name: str) -> bool:
        return Usock.Channel.connect_to_name(self, _refuse_nul(name, CONNECT))

    def open(self, where: _Place, cancellable: Gio.Cancellable | None = None, *,
             timeout: float | None = None) -> Awaitable[Self]:
        """Connects to a path, a text as in Usock.Dgram.send_to(), or a Gio.SocketAddress. Await it;
        it returns the channel."""
        place = _as_place(where, CONNECT)
        if isinstance(place, tuple):
            return self._open_host(*place, cancellable, timeout)
        connect = (self.connect_async if isinstance(place, Gio.SocketAddress)
                   else self.connect_to_path_async)
        return self._open(connect, place, cancellable, timeout=timeout)

    async def _open(self, connect, *args, **kwargs):
        await connect(*args, **kwargs)
        return self

    async def _open_host(self, host, port, cancellable, timeout):
        address = await _look_up_async(host, port, cancellable, timeout)
        return await self.open(address, cancellable, timeout=timeout)

    def send(self, data: _Data | Message, offset: int = 0, length: int | None = None,
             fds: Iterable[_Fd] | None = None) -> bool:
        """Sends bytes, a buffer, a str as UTF-8, a GLib.Bytes or a Usock.Message.

        offset and length count bytes. fds are numbers or objects with a fileno(); they stay the
        caller's.
        """
        try:
            if type(data) is bytes and length is None and fds is None and offset == 0:
                return _raw_send(self, data)
            if isinstance(data, Usock.Message):
                return _raw_send_message(self, _whole(data, offset, length, fds))
            data = _as_bytes(data)
            if offset != 0 or length is not None:
                data = _slice(data, offset, length)
            if fds is None:
                return _raw_send(self, data)
            return _raw_send_with_fds(self, data, _as_fds(fds))
        except GLib.Error as error:
            raise _told(error) from None

    async def send_async(self, data: _Data | Message, offset: int = 0, length: int | None = None,
                         fds: Iterable[_Fd] | None = None,
                         cancellable: Gio.Cancellable | None = None, *,
                         timeout: float | None = None) -> bool:
        """Sends like send(), but waits for room. Await it: then the kernel has the message."""
        if fds is not None or (type(data) is not bytes and isinstance(data, Usock.Message)):
            message = _as_message(data, offset, length, fds)
        else:
            if type(data) is not bytes or length is not None or offset != 0:
                data = _slice(_as_bytes(data), offset, length)
            left = self._send_now(data, cancellable)
            if left == 0:
                return True
            if left > 0:
                return await self.flush(cancellable, timeout=timeout)
            message = Message(data)
        self._n_sent = 0
        return await self.send_message_async(message, cancellable, timeout=timeout)

    def _send_now(self, data, cancellable):
        """Returns how many bytes wait, or -1 for all of it. After so many that did not wait one
        does, so that who sends without end leaves room for others."""
        if self._n_sent >= _SENDS or cancellable is not None and cancellable.is_cancelled():
            return -1
        self._n_sent += 1
        try:
            return _raw_send_now(self, data)
        except GLib.Error as error:
            raise _told(error) from None

    def send_text(self, text: str) -> bool:
        return Usock.Channel.send(self, _as_text(text))

    def send_with_fds(self, data: _Data, fds: Iterable[_Fd]) -> bool:
        return self.send(data, fds=fds)

    def send_messages(self, messages: Iterable[Message | _Data]) -> int:
        return Usock.Channel.send_messages(
            self, [m if isinstance(m, Usock.Message) else Message(m)
                   for m in _listed(messages, 'messages')])

    def post(self, data: _Data | Message, offset: int = 0, length: int | None = None,
             fds: Iterable[_Fd] | None = None) -> bool:
        """Hands what send() takes to the thread that owns the channel. Any thread may."""
        return Usock.Channel.post(self, _as_message(data, offset, length, fds))

    def end_with_message(self, data: _Data | Message, offset: int = 0, length: int | None = None,
                         fds: Iterable[_Fd] | None = None) -> bool:
        """Sends what send() takes, however full the queue is, and ends our side."""
        return Usock.Channel.end_with_message(self, _as_message(data, offset, length, fds))

    def receive(self, cancellable: Gio.Cancellable | None = None, *,
                timeout: float | None = None) -> Awaitable[Message | None]:
        """Await it: the next Usock.Message, or None after the last one."""
        return _line_of(self).take(self, _MESSAGE, cancellable, timeout)

    def receive_async(self, *args: Any, **kwargs: Any) -> Any:
        if any(map(callable, args)) or 'callback' in kwargs:
            _settle(self)
            return Usock.Channel.receive_async(self, *args, **kwargs)
        return self.receive(*args, **kwargs)

    def take_messages(self, max: int = 0) -> list[Message]:
        """Returns the messages that were read already, or no more than so many of them."""
        _settle(self)
        return _take_messages(self, max)

    def take_payloads(self, max: int = 0) -> list[bytes]:
        """Returns the bytes of the messages that were read already and are nothing else, or of no
        more than so many of them."""
        _settle(self)
        return _take_payloads(self, max)

    def payloads(self) -> _Payloads:
        """The bytes of each message, for a loop that wants no more of it, in half of the time.
        Descriptors that came along are closed."""
        return _Payloads(self)

    def unread_messages(self, messages: Iterable[Message]) -> bool:
        """Puts messages back to where they came from: they are received next."""
        messages = _listed(messages, 'messages')
        _settle(self)
        return Usock.Channel.unread_messages(self, messages)

    def pause(self) -> None:
        _settle(self)
        Usock.Channel.pause(self)

    def flush(self, cancellable: Gio.Cancellable | None = None, *,
              timeout: float | None = None) -> Awaitable[bool]:
        """Await it: then the kernel has all that was sent."""
        return self.flush_async(cancellable, timeout=timeout)

    def close_gracefully(self, milliseconds: int | None = None,
                         cancellable: Gio.Cancellable | None = None, *,
                         timeout: float | None = None) -> Awaitable[bool]:
        """Await it: all was sent and the peer has ended too, or the time is over, which is given
        in milliseconds, or in seconds as timeout. Without either it is not limited."""
        return self.close_gracefully_async(_as_grace(milliseconds, timeout), cancellable)

    def __aiter__(self) -> AsyncIterator[Message]:
        return _Messages(self)

    def __anext__(self) -> Awaitable[Message]:
        return _Messages(self).__anext__()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        message = _line_of(self).shift(self, _MESSAGE)
        if message is _NOTHING:
            message = _block_on(self.receive())
        if message is None:
            raise StopIteration
        return message

    def __exit__(self, error_type: type[BaseException] | None, *_: Any) -> None:
        try:
            if error_type is None and self.get_queued_bytes():
                _block_on(self.flush())
        finally:
            self.close()

    async def __aexit__(self, error_type: type[BaseException] | None, *_: Any) -> None:
        try:
            if error_type is None and self.get_queued_bytes():
                await self.flush()
        finally:
            self.close()


def _as_grace(milliseconds, seconds):
    if seconds is not None:
        return max(0, min(-int(-seconds * 1000 // 1), 0x7fffffff))
    return -1 if milliseconds is None else _as_milliseconds(milliseconds)


for _name, *_prepare in (('connect', _same), ('connect_to_path', _as_connect_path),
                         ('connect_when_available', _as_connect_path, _same),
                         ('send_message', _same), ('flush',), ('end',),
                         ('close_gracefully', _same)):
    setattr(Channel, _name + '_async', _awaitable(_name, *_prepare))


def _as_argument(argument):
    if isinstance(argument, Gio.File):
        return _as_path(argument, START)
    return _refuse_nul(os.fsdecode(argument), START)


def _spawn(call, argv, flags):
    """Starts a program; returns the channel and the Gio.Subprocess."""
    if isinstance(argv, (str, bytes)) or not argv:
        raise TypeError('a program and its arguments are given in a list')
    channel, process = call([_as_argument(each) for each in _listed(argv, 'arguments')], flags)
    _is_used()
    return channel, process


@export
@override
class Seqpacket(_raw('Seqpacket')):
    @staticmethod
    def spawn(argv: Sequence[_Path],
              flags: Gio.SubprocessFlags = Gio.SubprocessFlags.NONE) -> tuple[Seqpacket, Gio.Subprocess]:
        """Starts a program that has the other end; returns the channel and the Gio.Subprocess."""
        return _spawn(Usock.Seqpacket.spawn, argv, flags)

    @staticmethod
    def new_for_name(name: str) -> Seqpacket:
        return Usock.Seqpacket.new_for_name(_refuse_nul(name, CONNECT))

    @staticmethod
    def new_activated(name: str | None = None) -> Seqpacket:
        return Usock.Seqpacket.new_activated(name)

    @staticmethod
    def new_from_fd(fd: _Fd) -> Seqpacket:
        """Takes a number over, or a copy of what has a fileno()."""
        return _given(Usock.Seqpacket.new_from_fd, fd)

    @staticmethod
    def new_from_bound_fd(fd: _Fd) -> Seqpacket:
        """Takes a number over, or a copy of what has a fileno()."""
        return _given(Usock.Seqpacket.new_from_bound_fd, fd)

    def bind_to_path(self, path: _Path) -> bool:
        return Usock.Seqpacket.bind_to_path(self, _as_bind_path(path))

    @staticmethod
    def pair() -> tuple[Seqpacket, Seqpacket]:
        """Returns two channels that are connected with each other."""
        _, first, second = Usock.Seqpacket.new_pair()
        _is_used()
        return first, second


# What a stream takes back no more stands at its end: nothing comes behind it.

def _joined(rest):
    return b''.join(message.get_data() for message in rest)


def _cut_exactly(rest, n_bytes, n_fds):
    data = _joined(rest)
    if len(data) < n_bytes or n_fds > 0:
        return None, _fail(_Code.PARTIAL_INPUT, f'Could not receive: it ended after {len(data)} of '
                           f'{n_bytes} bytes')
    rest[:] = [Message(data[n_bytes:])] if len(data) > n_bytes else []
    return Message(data[:n_bytes]), None


def _cut_line(rest):
    data = _joined(rest)
    line, _, others = data.partition(b'\n')
    rest[:] = [Message(others)] if others else []
    return line.removesuffix(b'\r').decode(), None


def _cut_text(rest):
    data = _joined(rest)
    rest.clear()
    return data.decode(), None


def _cut_until(rest, delimiter):
    data = _joined(rest)
    if len(rest) == 1 and delimiter not in data:
        return rest.pop(), None  # With its flags.
    before, _, others = data.partition(delimiter)
    rest[:] = [Message(others)] if others else []
    return Message(before), None


def _cut_line_bytes(rest):
    line, error = _cut_until(rest, b'\n')
    return Message(line.data.removesuffix(b'\r')), error


def _text_again(text, _socket):
    return Message(text)


def _line_again(line, socket):
    return Message(line + (socket.get_line_ending() or ''))


def _line_bytes_again(message, socket):
    return Message(message.data + (socket.get_line_ending() or '').encode())


def _until_again(delimiter):
    def again(message, _socket):
        is_cut_off = message.get_flags() & Usock.MessageFlags.CUT_OFF
        return message if is_cut_off else Message(message.data + delimiter)
    return again


_RawStream = _raw('Stream')


def _want_of_stream(name, args, undo, cut, ahead=None):
    return _Want(getattr(Usock.Stream, name + '_async'), getattr(Usock.Stream, name + '_finish'),
                 args, undo, cut, ahead)


# Of a line that was taken ahead the stream does not know any more how it ended.

def _serve_line(line):
    line.last = last = line.ahead.popleft()
    return last[:-2] if last.endswith('\r\n') else last[:-1]


def _lines_again(lines):
    return [Message(''.join(lines))]


_LINES = _Ahead(_LINES_AHEAD, Usock.Stream.take_lines, _serve_line, _lines_again)
_LINE = _want_of_stream('receive_line', (), _line_again, _cut_line, _LINES)
_LINE_BYTES = _want_of_stream('receive_line_bytes', (), _line_bytes_again, _cut_line_bytes)
_TEXT = _want_of_stream('receive_text', (), _text_again, _cut_text)


class _Lines:
    """The lines of a stream, for both kinds of loop. Leaving one leaves the stream open."""

    __slots__ = ('_stream', '_line', '_ahead')

    def __init__(self, stream):
        self._stream = stream
        self._line = _line_of(stream)
        self._ahead = self._line.ahead

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._ahead and self._line.ahead_of is _LINE:
            return _serve_line(self._line)
        line = await self._line.take(self._stream, _LINE)
        if line is None:
            raise StopAsyncIteration
        return line

    def __iter__(self):
        return self

    def __next__(self):
        line = self._line.shift(self._stream, _LINE)
        if line is _NOTHING:
            line = _block_on(self._stream.receive_line())
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
@override
class Stream(_RawStream):
    """Bytes without borders. Each receive waits in the same line as receive(), which takes what
    comes as it comes. `for line in stream.lines()` and `async for` iterate lines."""

    @staticmethod
    def spawn(argv: Sequence[_Path],
              flags: Gio.SubprocessFlags = Gio.SubprocessFlags.NONE) -> tuple[Stream, Gio.Subprocess]:
        """Starts a program that has the other end; returns the stream and the Gio.Subprocess."""
        return _spawn(Usock.Stream.spawn, argv, flags)

    @staticmethod
    def pair() -> tuple[Stream, Stream]:
        """Returns two streams that are connected with each other."""
        _, first, second = Usock.Stream.new_pair()
        _is_used()
        return first, second

    @staticmethod
    def new_for_name(name: str) -> Stream:
        return Usock.Stream.new_for_name(_refuse_nul(name, CONNECT))

    @staticmethod
    def new_activated(name: str | None = None) -> Stream:
        return Usock.Stream.new_activated(name)

    @staticmethod
    def new_from_fd(fd: _Fd) -> Stream:
        """Takes a number over, or a copy of what has a fileno()."""
        return _given(Usock.Stream.new_from_fd, fd)

    @staticmethod
    def new_from_bound_fd(fd: _Fd) -> Stream:
        """Takes a number over, or a copy of what has a fileno()."""
        return _given(Usock.Stream.new_from_bound_fd, fd)

    def bind_to_path(self, path: _Path) -> bool:
        return Usock.Stream.bind_to_path(self, _as_bind_path(path))

    def connect_to_host(self, host: str, port: int,
                        family: Gio.SocketFamily = Gio.SocketFamily.INVALID) -> bool:
        return Usock.Stream.connect_to_host(self, _as_host(host), port, family)

    def open_host(self, host: str, port: int, family: Gio.SocketFamily = Gio.SocketFamily.INVALID,
                  cancellable: Gio.Cancellable | None = None, *,
                  timeout: float | None = None) -> Awaitable[Self]:
        """Connects by TCP. Await it; it returns the stream."""
        return self._open(self.connect_to_host_async, host, port, family, cancellable,
                          timeout=timeout)

    def _open_host(self, host, port, cancellable, timeout):
        return self.open_host(host, port, cancellable=cancellable, timeout=timeout)

    def receive_exactly(self, n_bytes: int, n_fds: int = 0,
                        cancellable: Gio.Cancellable | None = None, *,
                        timeout: float | None = None) -> Awaitable[Message]:
        """Await it: a Usock.Message of exactly so many bytes and descriptors. None at the end."""
        # PyGObject would cut 1.5 to 1.
        want = _want_of_stream('receive_exactly', (operator.index(n_bytes), operator.index(n_fds)),
                               _again, _cut_exactly)
        return _line_of(self).take(self, want, cancellable, timeout)

    def receive_line(self, cancellable: Gio.Cancellable | None = None, *,
                     timeout: float | None = None) -> Awaitable[str | None]:
        """Await it: the next line, without what ended it. None at the end."""
        return _line_of(self).take(self, _LINE, cancellable, timeout)

    def receive_line_bytes(self, cancellable: Gio.Cancellable | None = None, *,
                           timeout: float | None = None) -> Awaitable[Message | None]:
        """Await it: a Usock.Message of the next line, whatever bytes it has. None at the end."""
        return _line_of(self).take(self, _LINE_BYTES, cancellable, timeout)

    def receive_until(self, delimiter: _Data, cancellable: Gio.Cancellable | None = None, *,
                      timeout: float | None = None) -> Awaitable[Message | None]:
        """Await it: a Usock.Message of all before the delimiter, which is bytes or a text. None at
        the end."""
        delimiter = bytes(_as_bytes(delimiter))
        want = _want_of_stream('receive_until', (delimiter,), _until_again(delimiter), _cut_until)
        return _line_of(self).take(self, want, cancellable, timeout)

    def receive_text(self, cancellable: Gio.Cancellable | None = None, *,
                     timeout: float | None = None) -> Awaitable[str | None]:
        """Await it: some text, as it comes. None at the end."""
        return _line_of(self).take(self, _TEXT, cancellable, timeout)

    def lines(self) -> _Lines:
        return _Lines(self)

    def take_lines(self, max: int = 0) -> list[str]:
        """Returns the lines that were read already, with what ended them, or no more than so
        many."""
        _settle(self)
        return Usock.Stream.take_lines(self, max)

    def get_line_ending(self) -> str | None:
        """What ended the line that was received last: LF, CRLF, or None if the end cut it off."""
        last = self._line and self._line.last
        if last is None:
            return Usock.Stream.get_line_ending(self)
        return ('\r\n' if last.endswith('\r\n') else '\n') if last else None

    def was_cut_off(self) -> bool:
        if self._line is not None and self._line.last is not None:
            return False
        return Usock.Stream.was_cut_off(self)

    def unread(self, message: Message) -> bool:
        """Puts bytes back: they are received next."""
        _settle(self)
        return Usock.Stream.unread(self, message)

    def steal_connection(self) -> tuple[Gio.SocketConnection, bytes]:
        """Takes the connection away; returns a Gio.SocketConnection, and the bytes that were read
        ahead."""
        _has_all_told(self)
        connection, unread = Usock.Stream.steal_connection(self)
        return connection, _unread(unread)

    def cork(self) -> AbstractContextManager[None]:
        """What is sent from now on leaves together: at uncork(), or at the end of a with block."""
        Usock.Stream.cork(self)
        return _Cork(self)


def _received_by(name, n_args, of, fit=operator.index):
    """NAME_async(), which waits in line when it is given no callback."""
    start = getattr(of, name + '_async')

    def method(self, *args, **kwargs):
        if any(map(callable, args)) or 'callback' in kwargs:
            _settle(self)
            return start(self, *map(fit, args[:n_args]), *args[n_args:], **kwargs)
        return getattr(self, name)(*args, **kwargs)

    method.__name__ = name + '_async'
    return method


for _name, *_prepare in (('connect_to_host', _as_host, _same, _same),
                         ('connect_to_connectable', _same)):
    setattr(Stream, _name + '_async', _awaitable(_name, *_prepare, of=Usock.Stream))
for _name, *_args in (('receive_exactly', 2), ('receive_line', 0), ('receive_line_bytes', 0),
                      ('receive_until', 1), ('receive_text', 0)):
    _fit = _as_bytes if _name == 'receive_until' else operator.index
    setattr(Stream, _name + '_async', _received_by(_name, *_args, Usock.Stream, _fit))


_raw_send_to = Usock.Dgram.send_to


@export
@override
class Dgram(_raw('Dgram')):
    """Datagrams. A destination is a text as in Usock.address_parse() or a name of a host with a
    port, the sender of a message for one, a path, or a Gio.SocketAddress."""

    @staticmethod
    def new_activated(name: str | None = None) -> Dgram:
        return Usock.Dgram.new_activated(name)

    @staticmethod
    def new_from_fd(fd: _Fd) -> Dgram:
        """Takes a number over, or a copy of what has a fileno()."""
        return _given(Usock.Dgram.new_from_fd, fd)

    @staticmethod
    def pair() -> tuple[Dgram, Dgram]:
        """Returns two sockets that are connected with each other."""
        _, first, second = Usock.Dgram.new_pair()
        _is_used()
        return first, second

    def bind_to_path(self, path: _Path) -> bool:
        return Usock.Dgram.bind_to_path(self, _as_bind_path(path))

    def bind(self, where: _Place) -> bool:
        """Receives on a path, a text as for a destination, or a Gio.SocketAddress."""
        place = _as_place(where, BIND)
        if isinstance(place, tuple):
            place = _look_up(*place)
        if isinstance(place, Gio.SocketAddress):
            return self.bind_to_address(place)
        return self.bind_to_path(place)

    def send_to(self, data: _Data | Message, destination: _Place | None, offset: int = 0,
                length: int | None = None, fds: Iterable[_Fd] | None = None) -> bool:
        """Sends to a destination what send() takes."""
        destination = _as_destination(destination, self.get_family() == Usock.Family.INET)
        if isinstance(destination, Gio.SocketAddress):
            message = _as_message(data, offset, length, fds)
            return self.send_message_to(message, destination)
        if fds is not None or isinstance(data, Usock.Message):
            message = _as_message(data, offset, length, fds)
            return self.send_message_to_all(message, [destination]) == 1
        data = _slice(_as_bytes(data), offset, length)
        try:
            return _raw_send_to(self, data, destination)
        except GLib.Error as error:
            raise _told(error) from None

    def send_to_async(self, data: _Data | Message, destination: _Place | None, offset: int = 0,
                      length: int | None = None, fds: Iterable[_Fd] | None = None,
                      cancellable: Gio.Cancellable | None = None, *,
                      timeout: float | None = None) -> bool:
        """Sends like send_to(), but waits for room. Await it: then the receiver has the message."""
        message = _as_message(data, offset, length, fds)
        # A host is looked up by the library, which need not wait for it.
        if isinstance(destination, str) and not destination.startswith(':'):
            destination = _refuse_nul(destination, SEND)
        else:
            destination = _as_destination(destination)
        if isinstance(destination, Gio.SocketAddress):
            return self.send_message_to_async(message, destination, cancellable, timeout=timeout)
        return self.send_message_to_text_async(message, destination, cancellable, timeout=timeout)

    def send_message_to_all(self, message: Message | _Data, destinations: Iterable[str]) -> int:
        """Returns how many accepted it, which raises only if none did."""
        return Usock.Dgram.send_message_to_all(
            self, message, [text if isinstance(text, str) else Usock.address_to_string(text)
                            for text in map(_as_destination,
                                            _listed(destinations, 'destinations'))])

    send_message_to_text_async = _awaitable('send_message_to_text', _same,
                                            lambda text: _refuse_nul(text, SEND), of=Usock.Dgram)
    send_message_to_async = _awaitable('send_message_to', _same, _same, of=Usock.Dgram)


# Immediate calls wait here and not in C, where no signal of the system would reach Python.

def _wait_for(handle, condition, seconds):
    import select
    poll = select.poll()
    poll.register(handle.get_fd(), condition)
    poll.poll(None if seconds is None else -int(-seconds * 1000 // 1))


def _shielded(call):
    """Calls when Ctrl-C can not come: PyGObject loses it while it makes an exception of an error."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        return call()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Patience:
    """How long a call may still take, and the waiting itself."""

    NAP = 0.002

    def __init__(self, milliseconds, flags=0):
        self._milliseconds = _as_milliseconds(milliseconds)
        if flags & Usock.MsgFlags.DONTWAIT:
            self._milliseconds = 0
        self._until = (None if self._milliseconds < 0
                       else time.monotonic() + self._milliseconds / 1000)
        self._has_waited = False

    def left(self):
        return None if self._until is None else max(0, self._until - time.monotonic())

    def attempt(self, handle, condition, call):
        """Calls until that does not fail for want of something to wait for."""
        self._has_waited = False
        attempt = call
        while True:
            try:
                return attempt()
            except GLib.Error as error:
                if not error.matches(Gio.io_error_quark(), _Code.WOULD_BLOCK):
                    raise
                self._wait(handle, condition, error)
            attempt = functools.partial(_shielded, call)

    def _wait(self, handle, condition, error):
        left = self.left()
        if self._milliseconds == 0 or handle.get_fd() < 0:
            raise error
        if left == 0:
            tried = error.message.rpartition(': ')[0]
            raise _fail(_Code.TIMED_OUT, f'{tried}: waited {self._milliseconds} ms in vain')
        # Of some things the system gives no sign: of room in a backlog, or with another receiver.
        if self._has_waited or condition is None:
            time.sleep(self.NAP if left is None else min(self.NAP, left))
        if condition is not None:
            _wait_for(handle, condition, self.left())
            self._has_waited = True


def _receive_condition(flags):
    if flags & Usock.MsgFlags.ERRQUEUE:
        return Usock.PollFlags.ERR
    return Usock.PollFlags.PRI if flags & Usock.MsgFlags.OOB else Usock.PollFlags.IN


def _is_stream(handle):
    return handle.get_fd() >= 0 and handle.get_socket_type() == Gio.SocketType.STREAM


def _waits_for_all(handle, flags):
    one = Usock.MsgFlags.PEEK | Usock.MsgFlags.OOB | Usock.MsgFlags.ERRQUEUE
    return flags & Usock.MsgFlags.WAITALL and not flags & one and _is_stream(handle)


_RawHandle = _raw('Handle')


@export
@override
class Handle(_RawHandle):
    """Immediate calls on a socket. A timeout is in milliseconds; -1 waits for ever, 0 not at all.
    Ctrl-C ends whatever waits.

    A place is a text or a path as in Usock.Channel.open(), or a Gio.SocketAddress.
    """

    def __init__(self, family: int | None = None, type: int = Usock.SockType.STREAM,
                 protocol: int = 0) -> None:
        super().__init__()
        if family is not None:
            self.create(family, type, protocol)

    def create(self, family: int, type: int, protocol: int = 0) -> bool:
        return _RawHandle.create(self, family, _as_sock_type(type), protocol)

    @staticmethod
    def new_socket(family: int, type: int, protocol: int = 0) -> Handle:
        return _RawHandle.new_socket(family, _as_sock_type(type), protocol)

    @staticmethod
    def new_from_fd(fd: _Fd) -> Handle:
        """Takes a number over, or a copy of what has a fileno()."""
        return _given(_RawHandle.new_from_fd, fd)

    @staticmethod
    def pair(type: int = Usock.SockType.STREAM) -> tuple[Handle, Handle]:
        """Returns two handles that are connected with each other."""
        _, first, second = _RawHandle.new_pair(_as_sock_type(type))
        return first, second

    @staticmethod
    def connected(where: _Place | tuple[str, int] | Gio.SocketConnectable,
                  type: int = Usock.SockType.STREAM, timeout: int = -1,
                  cancellable: Gio.Cancellable | None = None) -> Handle:
        """Makes a handle and connects it: to a place, a tuple of host and port, which is looked
        up, or any Gio.SocketConnectable."""
        if not isinstance(where, (tuple, Gio.SocketConnectable)):
            where = _as_place(where, CONNECT)
        if isinstance(where, tuple):
            where = Gio.NetworkAddress.new(*where)
        if isinstance(where, Gio.SocketConnectable):
            return Handle.new_connected(where, type, timeout, cancellable)
        handle = Handle(Usock.Family.UNIX, type)
        handle.connect_to_path(where, timeout)
        return handle

    @staticmethod
    def new_connected(where: Gio.SocketConnectable, type: int = Usock.SockType.STREAM,
                      timeout: int = -1, cancellable: Gio.Cancellable | None = None) -> Handle:
        found = where.enumerate()
        step = functools.partial(_next_address, found, cancellable)
        address, error = step(), None
        patience = _Patience(timeout)
        while address is not None:
            handle = Handle(address.get_family().real, type)
            try:
                handle._connect(functools.partial(_RawHandle.connect_to_address, handle, address),
                                patience, address)
                return handle
            except GLib.Error as failure:
                handle.close()
                error = failure
            if patience.left() == 0:
                break
            try:
                address = step()
            except GLib.Error:
                break
        raise error or _fail(_Code.NOT_FOUND, f'{CONNECT} “{where.to_string()}”: it has no address')

    @staticmethod
    def new_listening(address: Gio.SocketAddress, type: int = Usock.SockType.STREAM,
                      backlog: int = 0) -> Handle:
        return _RawHandle.new_listening(address, _as_sock_type(type), backlog)

    @staticmethod
    def listening(where: _Place, type: int = Usock.SockType.STREAM, backlog: int = 0) -> Handle:
        """Makes a handle that listens, or receives datagrams, on a place."""
        place = _as_place(where, LISTEN)
        if isinstance(place, tuple):
            place = _look_up(*place)
        if isinstance(place, Gio.SocketAddress):
            return Handle.new_listening(place, type, backlog)
        handle = Handle(Usock.Family.UNIX, type)
        handle.bind_to_path(place)
        if type != Usock.SockType.DGRAM:
            handle.listen(backlog)
        return handle

    def bind_to_path(self, path: _Path) -> bool:
        return _RawHandle.bind_to_path(self, _as_bind_path(path))

    def bind(self, where: _Place | None = None) -> bool:
        """Binds to a place; without one, to what the kernel chooses."""
        place = None if where is None else _as_place(where, BIND)
        if isinstance(place, tuple):
            place = _look_up(*place)
        if place is None or isinstance(place, Gio.SocketAddress):
            return self.bind_to_address(place)
        return self.bind_to_path(place)

    def _connect(self, call, patience, address=None):
        # A full backlog of a local socket gives no sign when there is room.
        is_local = address is None or address.get_family() == Gio.SocketFamily.UNIX
        return patience.attempt(self, None if is_local else Usock.PollFlags.OUT, lambda: call(0))

    def connect_to_path(self, path: _Path, timeout: int = -1) -> bool:
        call = functools.partial(_RawHandle.connect_to_path, self, _as_connect_path(path))
        return self._connect(call, _Patience(timeout))

    def connect_to_address(self, address: Gio.SocketAddress | None, timeout: int = -1) -> bool:
        call = functools.partial(_RawHandle.connect_to_address, self, address)
        return self._connect(call, _Patience(timeout), address)

    def open(self, where: _Place | None, timeout: int = -1) -> bool:
        """Connects to a place. None parts from the peer of datagrams."""
        place = None if where is None else _as_place(where, CONNECT)
        if isinstance(place, tuple):
            place = _look_up(*place)
        if place is None or isinstance(place, Gio.SocketAddress):
            return self.connect_to_address(place, timeout)
        return self.connect_to_path(place, timeout)

    def listen(self, backlog: int = 0) -> bool:
        return _RawHandle.listen(self, backlog)

    def accept(self, timeout: int = -1) -> tuple[Handle, Gio.SocketAddress | None]:
        """Returns the handle of a connection, and the address of the peer."""
        handle, address = _Patience(timeout).attempt(self, Usock.PollFlags.IN,
                                                     lambda: _RawHandle.accept(self, 0))
        return handle, address

    def send(self, data: _Data, destination: _Place | None = None, flags: int = 0,
             timeout: int = -1, offset: int = 0, length: int | None = None) -> int:
        """Returns how many bytes were sent, of a bytes, a buffer, a str or a GLib.Bytes."""
        return self.send_to(_slice(_as_bytes(data), offset, length), destination, flags, timeout)

    def send_to(self, data: _Data, destination: _Place | None = None, flags: int = 0,
                timeout: int = -1) -> int:
        data = _as_bytes(data)
        if destination is not None:
            destination = _as_address(destination, SEND)
        patience = _Patience(timeout, flags)
        return self._send(len(data), flags, patience, lambda sent, flags: _RawHandle.send_to(
            self, data[sent:] if sent else data, None if sent else destination, flags, 0))

    def _send(self, length, flags, patience, call):
        """Of a stream everything is sent, as far as patience lasts."""
        sent = 0
        while True:
            try:
                sent += patience.attempt(self, Usock.PollFlags.OUT, lambda: call(sent, flags))
            except GLib.Error:
                if sent:
                    return sent
                raise
            if sent >= length or not _is_stream(self):
                return sent

    def sendmsg(self, message: Message | _Data | Sequence[_Data], destination: _Place | None = None,
                flags: int = 0, timeout: int = -1, fds: Iterable[_Fd] | None = None) -> int:
        """Sends a Usock.Message, or what one is made of: bytes, or a list of them as segments."""
        if not isinstance(message, Usock.Message):
            parts = message if isinstance(message, (list, tuple)) else [message]
            first, *rest = parts or [b'']
            message = Message(first, fds or ())
            for part in rest:
                message.append_bytes(GLib.Bytes.new(_as_bytes(part)))
        elif fds is not None:
            raise TypeError('a Usock.Message is sent with the descriptors that are in it')
        if destination is not None:
            destination = _as_address(destination, SEND)

        def send(sent, flags):
            # What goes along went with the first bytes.
            if sent:
                return _RawHandle.send_to(self, message.get_data()[sent:], None, flags, 0)
            return _RawHandle.sendmsg(self, message, destination, flags, 0)

        return self._send(message.get_length(), flags, _Patience(timeout, flags), send)

    def receive(self, max_size: int = 65536, flags: int = 0, timeout: int = -1) -> bytes | None:
        """Returns bytes, which may be none, or None at the end."""
        patience = _Patience(timeout, flags)
        call = functools.partial(_RawHandle.receive, self)
        received = patience.attempt(self, _receive_condition(flags),
                                    lambda: call(max_size, flags, 0))
        data = None if received is None else received.get_data() or b''
        if data and _waits_for_all(self, flags):
            for more in self._rest(max_size - len(data), flags, patience, call):
                data += more.get_data()
        return data

    def _rest(self, size, flags, patience, call):
        """The other pieces of what is to be whole, as far as patience lasts. What goes wrong then
        is for the next call."""
        while size > 0:
            try:
                piece = patience.attempt(self, _receive_condition(flags),
                                         lambda: call(size, flags, 0))
            except GLib.Error:
                return
            if piece is None:
                return
            yield piece
            size -= piece.get_size() if isinstance(piece, GLib.Bytes) else len(piece)
            if isinstance(piece, Usock.Message) and piece.get_n_fds():
                return

    def recvmsg(self, sizes: int | Sequence[int] = 65536, flags: int = 0,
                timeout: int = -1) -> Message | None:
        """Returns a Usock.Message, or None at the end. With a list of sizes, it has segments."""
        patience = _Patience(timeout, flags)
        if isinstance(sizes, int):
            size, call = sizes, functools.partial(_RawHandle.recvmsg, self)
        else:
            sizes = [operator.index(size) for size in _listed(sizes, 'sizes')]
            size, call = sum(sizes), functools.partial(_RawHandle.recvmsg_segments, self)
        message = patience.attempt(self, _receive_condition(flags),
                                   lambda: call(sizes, flags, 0))
        # The kernel does not go on behind descriptors: they belong to the bytes before them.
        if message is not None and not message.get_n_fds() and _waits_for_all(self, flags):
            rest = list(self._rest(size - len(message), flags, patience,
                                   functools.partial(_RawHandle.recvmsg, self)))
            message = _join(message, rest) if rest else message
        return message

    def recvmsg_segments(self, sizes: Sequence[int], flags: int = 0,
                         timeout: int = -1) -> Message | None:
        return self.recvmsg(_listed(sizes, 'sizes'), flags, timeout)

    def recvmsg_into(self, buffer: _Buffer, flags: int = 0,
                     timeout: int = -1) -> tuple[Message | None, int]:
        """Fills a buffer. Returns the Usock.Message and how many bytes were written, or None and
        0 at the end."""
        view = memoryview(buffer).cast('B')
        if view.readonly:
            raise TypeError(f'nothing can be written into a {type(buffer).__name__}')
        message = self.recvmsg(len(view), flags, timeout)
        if message is None:
            return None, 0
        n = len(message)
        view[:n] = message.data
        return message, n


def _next_address(found, user):
    if user is None:
        return _in_thread(found.next)
    if user.is_cancelled():
        raise _fail(_Code.CANCELLED, 'Operation was cancelled')
    return _in_thread(lambda own: found.next(user))


def _join(first, rest):
    """One message of those that a stream was read in."""
    message = Message(b''.join([first.get_data(), *[piece.get_data() for piece in rest]]))
    if first.get_credentials():
        message.set_credentials(first.get_credentials())
    for piece in rest:
        for fd in piece.take_fds():
            message.append_fd_owned(fd)
    return message


def _wait_for_any(sockets, conditions, seconds, cancellable):
    import select
    poll = select.poll()
    for socket, condition in zip(sockets, conditions):
        poll.register(socket.get_fd(), condition)
    fd = cancellable.get_fd() if cancellable else -1
    if fd >= 0:
        poll.register(fd, Usock.PollFlags.IN)
    try:
        poll.poll(None if seconds is None else -int(-seconds * 1000 // 1))
    finally:
        if fd >= 0:
            cancellable.release_fd()


@export
def poll(items: Iterable[Any], timeout: int = -1,
         cancellable: Gio.Cancellable | None = None) -> list[tuple[Any, PollFlags]]:
    """Waits for one of several sockets. An item is a socket, for something to receive, or a tuple
    of a socket, Usock.PollFlags and whatever else. Returns those that are ready, as tuples of the
    item and its Usock.PollFlags: none when the time is over, in milliseconds."""
    items = _listed(items, 'sockets')
    parts = [item if isinstance(item, tuple) else (item, Usock.PollFlags.IN) for item in items]
    sockets = [part[0] for part in parts]
    conditions = [int(part[1]) for part in parts]
    for socket in sockets:
        if not isinstance(socket, Usock.Socket):
            raise TypeError(f'what is polled is a Usock.Socket, or a tuple that begins with one, '
                            f'not {type(socket).__name__}')
    patience = _Patience(timeout)
    ready = _poll(sockets, conditions, 0, cancellable)
    while not any(ready) and patience.left() != 0:
        _wait_for_any(sockets, conditions, patience.left(), cancellable)
        ready = _poll(sockets, conditions, 0, cancellable)
    return [(item, Usock.PollFlags(bits)) for item, bits in zip(items, ready) if bits]


class _Properties:
    """Those of a server, whose path need not be text."""

    def __init__(self, server, properties):
        self.__dict__.update(_server=server, _properties=properties)

    def __getattr__(self, name):
        return self._server.get_path() if name == 'path' else getattr(self._properties, name)

    def __setattr__(self, name, value):
        setattr(self._properties, name, value)

    def __dir__(self):
        return dir(self._properties)

    def __iter__(self):
        return iter(self._properties)

    def __len__(self):
        return len(self._properties)


_RawServer = _raw('Server')
_CHANNEL = _Want(_RawServer.accept_async, _RawServer.accept_finish)


@export
@override
class Server(_RawServer):
    """A server, and a list of its channels: `len(server)`, `for channel in server`. It is true
    when that is empty as well.

    `async for channel in server` accepts, and so does `await server.accept()`: whoever leaves the
    loop may go on later. A handler of `authorize` that returns nothing refuses."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _as_socket_type(kwargs.get('socket_type'))
        super().__init__(*args, **kwargs)

    @staticmethod
    def new(socket_type: Gio.SocketType) -> Server:
        return Server(socket_type=socket_type)

    @property
    def props(self) -> Any:
        return _Properties(self, super().props)

    def get_property(self, name: str) -> Any:
        return self.get_path() if name == 'path' else super().get_property(name)

    def listen_on_path(self, path: _Path, backlog: int = 0) -> bool:
        return Usock.Server.listen_on_path(self, _as_listen_path(path), backlog)

    @staticmethod
    def new_for_name(name: str) -> Server:
        return Usock.Server.new_for_name(_refuse_nul(name, LISTEN))

    def listen_on_name(self, name: str, backlog: int = 0) -> bool:
        return Usock.Server.listen_on_name(self, _refuse_nul(name, LISTEN), backlog)

    def listen_on_fd(self, fd: _Fd, backlog: int = 0) -> bool:
        """Listens on a number, which is the server's from then on, or on a copy of what has a
        fileno()."""
        return _given(lambda fd: Usock.Server.listen_on_fd(self, fd, backlog), fd)

    def listen_activated(self, name: str | None = None) -> bool:
        return Usock.Server.listen_activated(self, name)

    def listen_on_address(self, address: Gio.SocketAddress, backlog: int = 0) -> bool:
        return Usock.Server.listen_on_address(self, address, backlog)

    def listen_on_host(self, host: str | None, port: int, backlog: int = 0) -> bool:
        """Listens by TCP. Without a host on all interfaces; port 0 is any."""
        if host is not None:
            _refuse_nul(host, LISTEN)
        return Usock.Server.listen_on_host(self, host, port, backlog)

    def listen(self, where: _Place, backlog: int = 0) -> bool:
        """Listens on a path, a text as in Usock.Channel.open(), or a Gio.SocketAddress. `:port` is
        on all interfaces."""
        place = _as_place(where, LISTEN)
        if isinstance(place, tuple):
            host, port = place
            return self.listen_on_host(host or None, port, backlog)
        if isinstance(place, Gio.SocketAddress):
            return self.listen_on_address(place, backlog)
        return self.listen_on_path(place, backlog)

    def broadcast(self, data: _Data | Message, offset: int = 0, length: int | None = None,
                  fds: Iterable[_Fd] | None = None) -> int:
        """Sends what Channel.send() takes to all channels; returns how many accepted it."""
        return Usock.Server.broadcast(self, _as_message(data, offset, length, fds))

    def accept(self, cancellable: Gio.Cancellable | None = None, *,
               timeout: float | None = None) -> Awaitable[Channel]:
        """Await it: the next channel. Fails with Gio.IOErrorEnum.CLOSED once the server is."""
        return _line_of(self).take(self, _CHANNEL, cancellable, timeout)

    def accept_async(self, *args: Any, **kwargs: Any) -> Any:
        if any(map(callable, args)) or 'callback' in kwargs:
            return _RawServer.accept_async(self, *args, **kwargs)
        return self.accept(*args, **kwargs)

    def close_gracefully(self, milliseconds: int | None = None,
                         cancellable: Gio.Cancellable | None = None, *,
                         timeout: float | None = None) -> Awaitable[int]:
        """Await it: all channels are closed, or the time is over, which is given in milliseconds,
        or in seconds as timeout. Returns how many were cut."""
        return self.close_gracefully_async(_as_grace(milliseconds, timeout), cancellable)

    close_gracefully_async = _awaitable('close_gracefully', _same, of=Usock.Server)

    def __iter__(self) -> Iterator[Channel]:
        # What closes meanwhile is in the list still.
        return iter([self.get_item(i) for i in range(self.get_n_items())])

    def __bool__(self) -> bool:
        return True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Channel:
        try:
            return await self.accept()
        except GLib.Error as error:
            if not error.matches(Gio.io_error_quark(), _Code.CLOSED):
                raise
        raise StopAsyncIteration


@export
def notify(state: str, fds: Iterable[_Fd] = ()) -> bool:
    """Tells the service manager. fds are numbers or objects with a fileno(), for FDSTORE=1."""
    return _notify(_refuse_nul(state, 'Could not notify the service manager of'), _as_fds(fds))


@export
def run_until_closed(context: GLib.MainContext | None = None) -> None:
    """Iterates the context until no held socket is open there. Ctrl-C raises KeyboardInterrupt."""
    # Where the loop is in C, no exception can end it.
    context = context or GLib.MainContext.default()
    with wakeup_on_signal():
        _iterate_until(lambda: Usock.count_held(context) == 0, context)


# Calls between programs

@export
class Descriptor:
    """One that came with a value. It is closed with this object, unless it was taken away."""

    def __init__(self, message: Message, index: int) -> None:
        self._fd = -1
        self._fd = message.take_fd(index)

    def fileno(self) -> int:
        if self._fd < 0:
            raise ValueError('the descriptor was taken or closed')
        return self._fd

    def take(self) -> int:
        """Returns the number, which is the caller's to close from now on."""
        fd, self._fd = self.fileno(), -1
        return fd

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f'<Usock.Descriptor {self._fd}>'


def _refuse_nul_in(text):
    if '\0' in text:
        raise ValueError('a text that is part of a call has no NUL in it')
    return text


def _variant_of(type_, children):
    builder = GLib.VariantBuilder(type_)
    for child in children:
        builder.add_value(child)
    return builder.end()


_BYTES = GLib.VariantType('ay')
_ANY = (GLib.VariantType('av'), GLib.VariantType('a{sv}'))


def _bytes_variant(data):
    return GLib.Variant.new_from_bytes(_BYTES, GLib.Bytes.new(_as_bytes(data)), True)


def _handle(value, fds):
    """The index of a descriptor among those that go along."""
    if isinstance(value, int):
        return value
    fds.append(value)
    return len(fds) - 1


def _as_variant(value, fds):
    """A value of the type that it looks like. What has a fileno() goes along as a descriptor."""
    if isinstance(value, GLib.Variant):
        return value
    if value is None:
        return GLib.Variant.new_tuple()
    if isinstance(value, bool):
        return GLib.Variant.new_boolean(value)
    if isinstance(value, int):
        return GLib.Variant('x' if value < 1 << 63 else 't', value)
    if isinstance(value, float):
        return GLib.Variant.new_double(value)
    if isinstance(value, str):
        return GLib.Variant.new_string(_refuse_nul_in(value))
    if isinstance(value, (bytes, bytearray, memoryview, GLib.Bytes)):
        return _bytes_variant(value)
    if isinstance(value, dict):
        return _variant_of(_ANY[1], [_entry(GLib.Variant.new_string(_as_key(key)),
                                            GLib.Variant.new_variant(_as_variant(item, fds)))
                                     for key, item in value.items()])
    if isinstance(value, tuple):
        return GLib.Variant.new_tuple(*[_as_variant(item, fds) for item in value])
    if hasattr(value, 'fileno'):
        return GLib.Variant.new_handle(_handle(value, fds))
    if hasattr(value, '__iter__'):
        return _variant_of(_ANY[0], [GLib.Variant.new_variant(_as_variant(item, fds))
                                     for item in value])
    raise TypeError(f'a {type(value).__name__} is nothing that a call can take along')


def _as_key(key):
    if not isinstance(key, str):
        raise TypeError(f'without a signature the keys of a dict are text, not '
                        f'{type(key).__name__}')
    return _refuse_nul_in(key)


def _entry(key, value):
    return GLib.Variant.new_dict_entry(key, value)


def _end_of_type(text, at):
    if text[at] in 'am':
        return _end_of_type(text, at + 1)
    if text[at] in '({':
        at += 1
        while text[at] not in ')}':
            at = _end_of_type(text, at)
    return at + 1


def _types_in(text):
    """The types that stand one behind the other."""
    types, at = [], 0
    while at < len(text):
        end = _end_of_type(text, at)
        types.append(text[at:end])
        at = end
    return types


def _as_typed(value, kind, fds):
    """A value of a type that was given."""
    if isinstance(value, GLib.Variant) and value.get_type_string() == kind:
        return value
    if kind == 'v':
        return GLib.Variant.new_variant(_as_variant(value, fds))
    if kind == 'h':
        return GLib.Variant.new_handle(_handle(value, fds))
    if kind == 'ay' and not isinstance(value, (list, tuple)):
        return _bytes_variant(value)
    if kind.startswith('a{'):
        key, item = _types_in(kind[2:-1])
        return _variant_of(GLib.VariantType(kind), [_entry(_as_typed(k, key, fds), _as_typed(v, item, fds))
                                                    for k, v in value.items()])
    if kind.startswith('a'):
        return _variant_of(GLib.VariantType(kind), [_as_typed(item, kind[1:], fds)
                                                    for item in _listed(value, 'values')])
    if kind.startswith('('):
        return _as_tuple(value, kind, fds)
    if kind.startswith('m'):
        inner = None if value is None else _as_typed(value, kind[1:], fds)
        return GLib.Variant.new_maybe(GLib.VariantType(kind[1:]), inner)
    return GLib.Variant(kind, _refuse_nul_in(value) if isinstance(value, str) else value)


def _as_tuple(value, kind, fds):
    types = _types_in(kind[1:-1])
    items = () if value is None and not types else tuple(value)
    if len(items) != len(types):
        raise TypeError(f'{kind} takes {len(types)} items, not {len(items)}')
    return GLib.Variant.new_tuple(*[_as_typed(item, each, fds)
                                    for item, each in zip(items, types)])


def _from_variant(value, message):
    """What a value is in Python. Descriptors are taken out of the message that it came with."""
    kind = value.get_type_string()
    if kind == 'ay':
        return value.get_data_as_bytes().get_data() or b''
    if kind == 'h':
        return Descriptor(message, value.get_handle())
    if kind == 'v':
        return _from_variant(value.get_variant(), message)
    if kind == '()':
        return None
    first = kind[0]
    if first not in 'a({m':
        return value.unpack()
    items = [_from_variant(value.get_child_value(i), message) for i in range(value.n_children())]
    if first == 'm':
        return items[0] if items else None
    if kind.startswith('a{'):
        return dict(items)
    return items if first == 'a' else tuple(items)


def _as_signature(signature):
    if (not GLib.VariantType.string_is_valid(signature)
            or not GLib.VariantType(signature).is_definite()):
        raise ValueError(f'“{signature}” is no signature')
    return signature


_raw_message_from_text = Usock.Message.new_from_text
_raw_message_from_variant = Usock.Message.new_from_variant


def _as_body(value, signature=None, fds=()):
    """A message of what goes along with a call, an answer or a post; None for nothing."""
    if isinstance(value, Usock.Message):
        if signature is not None or fds:
            raise TypeError('a Usock.Message is sent as what it is, with its descriptors')
        return value
    fds = list(fds or ())
    if signature is not None:
        body = _raw_message_from_variant(_as_typed(value, _as_signature(signature), fds))
    elif value is None and not fds:
        return None
    elif isinstance(value, str):
        body = _raw_message_from_text(_refuse_nul_in(value))
    elif value is None or isinstance(value, (bytes, bytearray, memoryview, GLib.Bytes)):
        body = Usock.Message.new(_as_bytes(b'' if value is None else value))
    else:
        body = _raw_message_from_variant(_as_variant(value, fds))
    for fd in fds:
        Usock.Message.append_fd(body, _as_fd(fd))
    return body


def _from_body(message):
    kind = message.get_kind()
    if kind == Usock.BodyKind.VARIANT:
        return _from_variant(message.get_variant(), message)
    if kind == Usock.BodyKind.TEXT:
        return message.get_data().decode()
    return message.get_data() if kind == Usock.BodyKind.BYTES else None


# What it is in Python: text, bytes, None, or what a value is made of.
Message.body = property(_from_body)


def _as_error(error):
    """What the other side is told. Nothing but its text leaves of an exception of Python's."""
    if isinstance(error, GLib.Error):
        return GLib.Error.new_literal(GLib.quark_from_string(error.domain), error.message,
                                      error.code)
    text = str(error) or type(error).__name__
    code = Gio.IOErrorEnum.FAILED
    if isinstance(error, OSError) and error.errno:
        code = Gio.io_error_from_errno(error.errno)
    return GLib.Error.new_literal(Gio.io_error_quark(), text, code)


@export
@override
class Call(_raw('Call')):
    """What the other side asks: answered once, with reply() or reply_error()."""

    @property
    def name(self) -> str:
        return self.get_name()

    @property
    def body(self) -> Any:
        """What came along: text, bytes, None, or what a value is made of."""
        return _from_body(self.get_body())

    @property
    def cancellable(self) -> Gio.Cancellable:
        return self.get_cancellable()

    def reply(self, value: Any = None, *, signature: str | None = None,
              fds: Iterable[_Fd] = ()) -> bool:
        """Answers with text, bytes, None, or a value, of the type signature if it is given."""
        return Usock.Call.reply(self, _as_body(value, signature, fds))

    def reply_error(self, error: BaseException) -> bool:
        """Answers with an error, or any exception."""
        return Usock.Call.reply_error(self, _as_error(error))


def _takes_call(handler):
    """Whether a handler wants the call beside what came with it."""
    import inspect
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return True
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(places) > 1 or any(p.kind == p.VAR_POSITIONAL for p in parameters)


class _Answerer:
    """Answers calls of one name with what a function or a coroutine returns or raises."""

    def __init__(self, handler, signature):
        self._handler, self._signature = handler, signature
        self._takes_call = _takes_call(handler)
        self._tasks = set()

    def __call__(self, _peer, call, *_):
        try:
            body = call.body
            result = self._handler(body, call) if self._takes_call else self._handler(body)
            if hasattr(result, '__await__'):
                self._spawn(call, result)
            else:
                self._reply(call, result)
        except Exception as error:
            self._fail(call, error)

    def _reply(self, call, result):
        if not call.is_answered():
            call.reply(result, signature=self._signature)

    def _fail(self, call, error):
        if not call.is_answered():
            call.reply_error(error)

    async def _answer(self, call, awaitable):
        try:
            self._reply(call, await awaitable)
        except Exception as error:
            self._fail(call, error)

    def _spawn(self, call, awaitable):
        task = spawn(self._answer(call, awaitable))
        if task.done():
            return
        # It is to be there until it is done, and nobody else keeps it.
        cancellable = call.get_cancellable()
        link = GObject.Object.connect(cancellable, 'cancelled', lambda *_: task.cancel())
        place = task, cancellable, link
        self._tasks.add(place)
        self._when_done(task, lambda: (self._tasks.discard(place),
                                       GObject.Object.disconnect(cancellable, link)))

    @staticmethod
    def _when_done(task, callback):
        if hasattr(task, 'add_done_callback'):
            task.add_done_callback(lambda _: callback())
        else:
            task._begin(callback)


def _as_name(name):
    if not isinstance(name, str):
        raise TypeError(f'the name of a call is a text, not a {type(name).__name__}')
    if not 0 < len(name.encode()) <= 255:
        raise ValueError('the name of a call is a text of 1 to 255 bytes')
    return _refuse_nul_in(name)


_RawPeer = _raw('Peer')


@export
@override
class Peer(_RawPeer):
    """Calls over a channel: `await peer.call('Open', {'path': '/etc/hostname'})` on one side,
    `@peer.handle('Open')` above a function or a coroutine on the other."""

    def __init__(self, channel: Channel | None = None, **properties: Any) -> None:
        super().__init__(channel=channel, **properties)
        _is_used()

    @staticmethod
    def new(channel: Channel) -> Peer:
        return Peer(channel)

    @staticmethod
    def spawn(argv: Sequence[_Path],
              flags: Gio.SubprocessFlags = Gio.SubprocessFlags.NONE) -> tuple[Peer, Gio.Subprocess]:
        """Starts a program that has the other end; returns the peer and the Gio.Subprocess."""
        return _spawn(Usock.Peer.spawn, argv, flags)

    async def call(self, name: str, body: Any = None, *, signature: str | None = None,
                   timeout: float | None = None, cancellable: Gio.Cancellable | None = None,
                   fds: Iterable[_Fd] = ()) -> Any:
        """Await it: what the other side answers. Its error is raised here."""
        return _from_body(await self.call_message(name, _as_body(body, signature, fds),
                                                  timeout=timeout, cancellable=cancellable))

    def call_message(self, name: str, message: Message | None = None, *,
                     timeout: float | None = None,
                     cancellable: Gio.Cancellable | None = None) -> Awaitable[Message]:
        """Await it: the Usock.Message that the other side answers with."""
        milliseconds = -1 if timeout is None else max(0, min(-int(-timeout * 1000 // 1),
                                                             0x7fffffff))
        return _call(functools.partial(_RawPeer.call_async, self, _as_name(name), message,
                                       milliseconds),
                     functools.partial(_RawPeer.call_finish, self), cancellable)

    def post(self, name: str, body: Any = None, *, signature: str | None = None,
             fds: Iterable[_Fd] = ()) -> bool:
        """Tells the other side something, to which there is no answer."""
        return Usock.Peer.post(self, _as_name(name), _as_body(body, signature, fds))

    def handle(self, name: str, handler: Callable[..., Any] | None = None, *,
               signature: str | None = None) -> Any:
        """Has a function or coroutine answer all calls of a name. It gets what came along, and the
        Usock.Call if it takes two arguments. Without a handler this is a decorator."""
        if handler is None:
            return functools.partial(self._decorate, name, signature)
        _RawPeer.handle(self, _as_name(name), _Answerer(handler, signature))
        _is_used()
        return handler

    def _decorate(self, name, signature, handler):
        return self.handle(name, handler, signature=signature)

    def unhandle(self, name: str) -> None:
        _RawPeer.unhandle(self, _as_name(name))

    def connect(self, signal: str, handler: Callable[..., Any], *args: Any) -> int:
        number = super().connect(signal, handler, *args)
        _is_used()
        return number

    call_async = _awaitable('call', _as_name, _same, _same, of=_RawPeer)
    call_variant_async = _awaitable('call_variant', _as_name, _same, _same,
                                    of=_RawPeer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        # One over a channel that has another has none.
        if channel := self.get_channel():
            channel.__exit__(*error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: Any) -> None:
        if channel := self.get_channel():
            await channel.__aexit__(*error)


# A connection that comes back

_RawClient = _raw('Client')


def _as_client_type(channel_type):
    gtype = getattr(channel_type, '__gtype__', channel_type)
    if (not isinstance(gtype, GObject.GType)
            or not any(gtype.is_a(kind.__gtype__) for kind in (Usock.Seqpacket, Usock.Stream))):
        raise TypeError('the channels of a client are a Usock.Seqpacket, a Usock.Stream or a class '
                        f'of them, not {channel_type!r}')
    return gtype


def _set_handlers(client, _channel):
    peer = client.get_peer()
    for name, (handler, signature) in client._handlers.items():
        peer.handle(name, handler, signature=signature)


class _Connections:
    """The channels of a client, one after the other."""

    __slots__ = ('_client', '_last')

    def __init__(self, client):
        self._client = client
        self._last = None

    def __aiter__(self):
        return self

    async def __anext__(self):
        client, last, self._last = self._client, self._last, None
        try:
            if last is not None and client.get_channel() is last:
                await _gone(client)
            self._last = await client.connected()
        except Error as error:
            if error.code in (_Code.CLOSED.real, _Code.NOT_CONNECTED.real):
                raise StopAsyncIteration from None
            raise
        return self._last


async def _gone(client):
    """Waits for the end of the connection that there is."""
    future = _new_future()

    def gone(*_):
        if not future.done():
            future.set_result(None)

    link = GObject.Object.connect(client, 'disconnected', gone)
    try:
        await future
    finally:
        GObject.Object.disconnect(client, link)


@export
@override
class Client(_RawClient):
    """A connection that comes back when its server does: `client.start('/run/example/socket')`.

    `client.send(b'...')` waits in a queue while nobody is there, and `await client.call('Add',
    (1, 2))` waits itself. `async for channel in client` has one connection after the other, and
    ends when the client is stopped."""

    def __init__(self, channel_type: type[Channel] = Usock.Seqpacket, **properties: Any) -> None:
        super().__init__(channel_type=_as_client_type(channel_type), **properties)
        self._handlers = {}
        _is_used()

    @staticmethod
    def new(channel_type: type[Channel]) -> Client:
        return Client(channel_type)

    def connect(self, signal: str, handler: Callable[..., Any], *args: Any) -> int:
        if signal in _TELLING_OF_CLIENT:
            handler = _Teller(handler)
        number = super().connect(signal, handler, *args)
        _is_used()
        return number

    def start(self, where: _Place) -> bool:
        """Connects to a path, a text as in Usock.Channel.open(), or a Gio.SocketAddress, and does
        so again until it is stopped."""
        _is_used()
        place = _as_place(where, CONNECT)
        if isinstance(place, tuple):
            return self.start_for_host(*place)
        if isinstance(place, Gio.SocketAddress):
            return self.start_for_address(place)
        return self.start_for_path(place)

    def start_for_path(self, path: _Path) -> bool:
        return Usock.Client.start_for_path(self, _as_connect_path(path))

    def start_for_name(self, name: str) -> bool:
        return Usock.Client.start_for_name(self, _refuse_nul(name, CONNECT))

    def start_for_host(self, host: str, port: int) -> bool:
        return Usock.Client.start_for_host(self, _as_host(host), port)

    def send(self, data: _Data | Message, offset: int = 0, length: int | None = None,
             fds: Iterable[_Fd] | None = None) -> bool:
        """Sends what Usock.Channel.send() takes, now or as soon as there is a connection."""
        return _RawClient.send_message(self, _as_message(data, offset, length, fds))

    async def send_async(self, data: _Data | Message, offset: int = 0, length: int | None = None,
                         fds: Iterable[_Fd] | None = None,
                         cancellable: Gio.Cancellable | None = None, *,
                         timeout: float | None = None) -> bool:
        """Await it: the kernel has the message. When the time is over before, it is not sent."""
        await self.send_message_async(_as_message(data, offset, length, fds), cancellable,
                                      timeout=timeout)

    def send_text(self, text: str) -> bool:
        return self.send(_as_text(text))

    def connected(self, cancellable: Gio.Cancellable | None = None, *,
                  timeout: float | None = None) -> Awaitable[Channel | None]:
        """Await it: the channel, once there is one."""
        return self.wait_async(cancellable, timeout=timeout)

    async def call(self, name: str, body: Any = None, *, signature: str | None = None,
                   timeout: float | None = None, cancellable: Gio.Cancellable | None = None,
                   fds: Iterable[_Fd] = ()) -> Any:
        """Await it: what the other side answers, over the connection there is or the next one. It
        is not asked again when the connection ends before it has answered: that is an error."""
        name, body = _as_name(name), _as_body(body, signature, fds)
        due = None if timeout is None else time.monotonic() + timeout
        peer = None
        while peer is None:
            left = None if due is None else max(0, due - time.monotonic())
            await self.connected(cancellable, timeout=left)
            peer = self.get_peer()
        left = None if due is None else max(0, due - time.monotonic())
        return _from_body(await peer.call_message(name, body, timeout=left,
                                                  cancellable=cancellable))

    def handle(self, name: str, handler: Callable[..., Any] | None = None, *,
               signature: str | None = None) -> Any:
        """Has a function or coroutine answer all calls of a name, as Usock.Peer.handle() does, on
        this and each later connection."""
        if handler is None:
            return functools.partial(self._decorate, name, signature)
        if not self._handlers:
            GObject.Object.connect(self, 'connected', _set_handlers)
        self._handlers[_as_name(name)] = handler, signature
        peer = self.get_peer()
        if peer is not None:
            peer.handle(name, handler, signature=signature)
        return handler

    def _decorate(self, name, signature, handler):
        return self.handle(name, handler, signature=signature)

    send_message_async = _awaitable('send_message', _same, of=_RawClient)
    wait_async = _awaitable('wait', of=_RawClient)

    def __aiter__(self) -> AsyncIterator[Channel]:
        return _Connections(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.stop()


_TELLING_OF_CLIENT = frozenset(('disconnected', 'waiting', 'unsent'))
