# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Everything that a script can call is called with odd values, on objects in every state.

The process neither crashes nor hangs nor keeps a descriptor, and what it says on its way are
errors. A batch of calls is a process of its own, which prints each call before it is made:

    test_abuse.py API.json walk CLASS SEED      each callable, in half of the states
    test_abuse.py API.json mix CALLS SEED       calls, signals, peers in any order

USOCK_TEST_SEED=N begins with another seed, USOCK_TEST_LONG=1 makes many more batches.
"""

import gc
import inspect
import json
import os
import re
import subprocess
import sys
import time
import unittest

import gi

import fixture
import tap
from abuse import Stage
from fixture import Gio, GLib, Usock

LONG = os.environ.get('USOCK_TEST_LONG') == '1'
SEED = int(os.environ.get('USOCK_TEST_SEED', time.time() if LONG else 1))
PATIENCE = 120 * fixture.SLOW
RAW = gi.module.get_introspection_module('Usock')

# Memory is the binding's business; what waits for ever, or for another loop, is no misuse.
LEFT_OUT = {'ref', 'unref', 'run', 'pump', 'spawn', 'Task', 'export', 'override'}
CLASSES = (Usock.Seqpacket, Usock.Stream, Usock.Dgram, Usock.Server, Usock.Handle, Usock.Message,
           Usock.PacketAddress, Usock.Peer, Usock.Call, Usock.Client)
TAKES_FD = {'new_from_fd', 'new_from_bound_fd', 'append_fd_owned', 'listen_on_fd'}

# The mistakes of a program of which there is no error to tell.
MISUSE = {
    'usock_operation_propagate': 'another call is finished',
    'usock_channel_send_messages': 'one of the messages is none',
    'usock_channel_unread_messages': 'one of the messages is none',
    'usock_packet_address_new': 'a constructor that has no error, with numbers out of range',
    'usock_packet_address_new_for_interface': 'a protocol out of range',
    'usock_message_append_bytes': 'the message is frozen',
    'usock_message_append_message': 'the message is frozen, or it is the other one',
    'usock_message_set_credentials': 'the message is frozen',
    'usock_server_set_channel_type': 'a type that is none of a channel',
    'usock_client_new': 'a type that is none of a channel',
    'usock_peer_new': 'a channel of datagrams',
    'usock_peer_handle': 'a name that is empty or too long',
    'usock_peer_handle_with_closure': 'a name that is empty or too long',
    'usock_peer_set_max_calls': 'none at all',
}
# One version of PyGObject never frees the cancellable of an asynchronous call that it refuses.
KEEPS_CANCELLABLES = gi.version_info[:2] == (3, 50)
CRITICAL = re.compile(r'Usock-CRITICAL \*\*: [\d:.]+: (\w+): assertion ')
COMPLAINT = re.compile(r'(CRITICAL|WARNING) \*\*|Warning:|Traceback|runtime error|ERROR: ')


class Callable:
    """Something to call, and what its parameters are."""

    def __init__(self, name, function, kind, parameters):
        self.name, self.function, self.kind, self.parameters = name, function, kind, parameters

    def arguments(self, stage):
        # What waits for ever is no misuse, nor is what closes a descriptor that was given away.
        strict = any(name in ('timeout', 'context', 'fd') for name, _ in self.parameters)
        if stage.chance.random() < 0.03 and not strict:
            return [stage.junk('') for _ in range(stage.chance.randrange(5))]
        arguments = []
        for name, kind in self.parameters:
            odd = name != 'context' and stage.chance.random() < 0.08
            arguments.append(stage.junk(name) if odd else value_for(stage, name, kind))
        return arguments


def value_for(stage, name, kind):
    """A value of the right type."""
    by_name = {
        'data': stage.data, 'buffer': lambda: bytearray(stage.data()), 'fd': stage.fd,
        'fds': stage.fds, 'path': stage.path, 'host': stage.host, 'timeout': stage.timeout,
        'sizes': lambda: [stage.size() for _ in range(stage.chance.randrange(4))],
        'max_size': stage.size, 'n_bytes': stage.size, 'cancellable': stage.cancellable,
        'messages': lambda: [None if stage.chance.random() < 0.02 else stage.message()
                             for _ in range(stage.chance.choice((0, 1, 3, 70)))],
        'destinations': lambda: [stage.text() for _ in range(stage.chance.choice((0, 1, 5)))],
        'where': lambda: stage.chance.choice((stage.path, stage.address))(),
        'destination': lambda: stage.chance.choice((stage.text, stage.address))()
        if kind != 'utf8' else stage.text(), 'value': stage.variant, 'level': stage.option,
        'error': stage.error, 'callback': lambda: callback(stage),
        'sockets': lambda: [stage.chance.choice(stage.sockets())
                            for _ in range(stage.chance.randrange(4)) if stage.sockets()],
        'items': lambda: stage.sockets()[:stage.chance.randrange(4)],
        'conditions': lambda: [stage.number() % 2**32 for _ in range(stage.chance.randrange(4))],
        'context': lambda: GLib.MainContext.new(), 'offset': lambda: stage.chance.choice((0, 1)),
        'length': lambda: stage.chance.choice((None, 0, 1)), 'hardware_address': stage.data,
        'option': stage.option, 'handler': lambda: callback(stage),
        'closure': lambda: callback(stage),
        'body': lambda: stage.chance.choice((stage.text, stage.data, stage.number, stage.message,
                                             stage.variant))(),
        'signature': lambda: stage.chance.choice((None, None, 's', 'ay', '(ii)', 'a{sv}', 'none')),
        'channel': lambda: stage.chance.choice(stage.sockets() or [None]),
        'channel_type': lambda: stage.chance.choice(CLASSES),
    }
    by_type = {
        'utf8': stage.text, 'filename': stage.path,
        'GLib.Bytes': lambda: GLib.Bytes.new(stage.data()), 'GLib.Variant': stage.variant,
        'Message': stage.message, 'Gio.Credentials': stage.credentials,
        'Gio.SocketAddress': stage.address, 'Gio.InetSocketAddress': stage.address,
        'Gio.SocketConnectable': stage.address,
        'gboolean': lambda: stage.chance.choice((True, False)),
        'Gio.AsyncResult': lambda: stage.chance.choice(stage.results or [None]),
        'Gio.SocketType': lambda: stage.chance.choice(list(map(Gio.SocketType, range(4)))),
        'Gio.SocketFamily': lambda: stage.chance.choice((Gio.SocketFamily.IPV4,
                                                         Gio.SocketFamily.IPV6,
                                                         Gio.SocketFamily.UNIX,
                                                         Gio.SocketFamily.INVALID)),
        'MsgFlags': lambda: Usock.MsgFlags(stage.chance.choice((0, 0, 0, 1, 2, 32, 64, 128, 256,
                                                                1 << 13, 1 << 15, 1 << 26))),
        'Shut': lambda: Usock.Shut(stage.chance.randrange(3)),
        'AllowedUsers': lambda: Usock.AllowedUsers(stage.chance.randrange(3)),
        'SlowReaders': lambda: Usock.SlowReaders(stage.chance.randrange(3)),
    }
    if name == 'name' and kind is None:
        return stage.chance.choice(('Any', 'Echo', stage.text()))
    if name == 'name' and kind != 'utf8':
        return stage.option()
    return by_name.get(name, by_type.get(kind, stage.number))()


def callback(stage):
    """Finishes, or does not, or with another socket's result."""
    if stage.chance.random() < 0.2:
        return None

    def done(source, result, *_):
        stage.results.append(result)
        for name in dir(source):
            if name.endswith('_finish') and stage.chance.random() < 0.15:
                try:
                    getattr(source, name)(result)
                except (GLib.Error, TypeError):
                    pass
    return done


def of_override(name, function, listed):
    """A callable that the override made, with the parameters that it declares."""
    types = {parameter['name']: parameter['type'] for parameter in listed}
    declared = list(inspect.signature(function).parameters.values())
    if any(parameter.kind == parameter.VAR_POSITIONAL for parameter in declared):
        return [(parameter['name'], parameter['type']) for parameter in listed]
    return [(parameter.name, types.get(parameter.name)) for parameter in declared
            if parameter.name != 'self']


class Api:
    def __init__(self, path):
        with open(path, encoding='utf-8') as file:
            listed = json.load(file)
        self.classes = {entry['name']: entry for entry in listed['classes']}
        self.functions = self._collect(Usock, RAW, listed['functions'])

    def _collect(self, cls, raw, listed):
        entries = {entry['name']: entry for entry in listed}
        names = set(entries) | {name for name, value in vars(cls).items()
                                if inspect.isfunction(value) and not name.startswith('_')}
        if cls is Usock:
            names = set(entries)
        found = []
        for name in sorted(names - LEFT_OUT):
            parameters = entries.get(name, {}).get('parameters', [])
            kind = entries.get(name, {}).get('kind', 'method')
            for origin in (cls, raw):
                function = getattr(origin, name, None)
                if function is None or (origin is raw and function is getattr(cls, name, None)):
                    continue
                if origin is raw and name.endswith('_async') and KEEPS_CANCELLABLES:
                    continue
                own = (of_override(name, function, parameters) if inspect.isfunction(function)
                       else [(each['name'], each['type']) for each in parameters])
                if isinstance(inspect.getattr_static(cls, name, None), staticmethod):
                    kind = 'static'
                prefix = '' if origin is cls else 'raw '
                found.append(Callable(prefix + name, function, kind, own))
        return found

    def lineage(self, cls):
        name = cls.__name__
        while name in self.classes:
            yield self.classes[name]
            name = self.classes[name]['parent']

    def callables(self, cls):
        found = []
        for entry in self.lineage(cls):
            owner = getattr(Usock, entry['name'])
            found += self._collect(owner, getattr(RAW, entry['name']), entry['callables'])
        return found

    def properties(self, cls):
        return [each for entry in self.lineage(cls) for each in entry['properties']]

    def signals(self, cls):
        return [each for entry in self.lineage(cls) for each in entry['signals']]


def shown(value):
    text = repr(value)
    return text if len(text) < 100 else f'{text[:80]}...({len(text)})'


class Batch:
    def __init__(self, api, seed):
        self.api = api
        self.stage = Stage(seed)
        self.chance = self.stage.chance
        self.n_calls = 0
        self.depth = 0

    def say(self, text):
        line = f'{self.n_calls} {text}\n'.encode(errors='backslashreplace')
        os.write(2, line)

    def attempt(self, what, call):
        """Whatever a script may meet is an exception, of Python or of the library."""
        self.n_calls += 1
        self.say(what)
        try:
            return True, call()
        except GLib.Error as error:
            self.judge(error)
        except (TypeError, ValueError, OverflowError, AttributeError, IndexError, UnicodeError,
                RuntimeError, OSError, NotImplementedError, LookupError):
            pass
        return False, None

    def judge(self, error):
        if not error.message or error.message.endswith(('Success', ': ')):
            self.say(f'Traceback: the error says nothing: {error!r}')

    def call(self, target, callable_):
        arguments = callable_.arguments(self.stage)
        on = [] if callable_.kind != 'method' else [target]
        worked, result = self.attempt(
            f'{shown(target)}.{callable_.name}({", ".join(map(shown, arguments))})',
            lambda: callable_.function(*on, *arguments))
        self.stage.give_back(worked and callable_.name.split()[-1] in TAKES_FD)
        self.keep(callable_.name.split()[-1], result)

    def keep(self, name, result):
        if name in ('take_fd', 'dup_pidfd', 'dup_peer_pidfd', 'open_reuse_port_fd'):
            if result is not None and result > 2:
                os.close(result)
        elif name == 'steal_fd' and result:
            os.close(result[0])
        elif name == 'take_fds':
            for fd in result or ():
                os.close(fd)
        for each in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(each, (Usock.Socket, Usock.Message, Usock.Peer, Usock.Client)):
                self.stage.add(each)
            elif hasattr(each, '__await__'):
                self.attempt('spawn', lambda each=each: self.spawn(each))

    def spawn(self, awaitable):
        self.stage.tasks.append(Task(awaitable))

    # What a mix is made of

    def act_call(self):
        target = self.chance.choice(self.stage.cast)
        self.call(target, self.chance.choice(self.callables(type(target))))

    def act_new(self):
        cls = self.chance.choice(CLASSES)
        state = self.chance.choice(self.stage.states(cls))
        self.attempt(f'{cls.__name__} {state}', lambda: self.stage.make(cls, state))

    def act_property(self):
        target = self.chance.choice(self.stage.cast)
        properties = self.api.properties(type(target))
        if properties:
            each = self.chance.choice(properties)
            value = self.stage.property_value(each['type'])
            name = each['name'].replace('-', '_')
            if each['writable'] and name != 'socket_type':
                self.attempt(f'{shown(target)}.{name} = {value}',
                             lambda: setattr(target.props, name, value))
            self.attempt(f'{shown(target)}.{name}', lambda: getattr(target.props, name))

    def act_signal(self):
        target = self.chance.choice(self.stage.emitters() or [None])
        if target is not None:
            signal = self.chance.choice(self.api.signals(type(target)))
            self.attempt(f'{shown(target)} on {signal}',
                         lambda: target.connect(signal, self.react, signal))

    def react(self, _socket, *arguments):
        signal = arguments[-1]
        if self.depth < 2 and self.n_calls < self.limit:
            self.depth += 1
            try:
                self.chance.choice((self.act_call, self.act_peer, self.act_turn, int, int))()
            finally:
                self.depth -= 1
        for each in arguments[:-1]:
            if (isinstance(each, (Usock.Message, Usock.Socket, Usock.Call))
                    and self.chance.random() < 0.5):
                self.stage.add(each)
        if signal == 'authorize':
            return Usock.Verdict(self.chance.randrange(2))
        return None

    def act_peer(self):
        if self.stage.peers:
            peer = self.chance.choice(self.stage.peers)
            self.attempt(f'{peer!r} acts', peer.act)

    def act_function(self):
        self.call(Usock, self.chance.choice(self.api.functions))

    def act_cancel(self):
        if self.stage.tasks:
            self.attempt('cancel', self.chance.choice(self.stage.tasks).cancel)

    def act_turn(self):
        self.stage.turn(self.chance.choice((1, 5, 20)))

    def act_drop(self):
        if self.stage.cast:
            self.stage.cast.pop(self.chance.randrange(len(self.stage.cast)))

    def callables(self, cls):
        cache = self.__dict__.setdefault('_callables', {})
        if cls not in cache:
            cache[cls] = self.api.callables(cls)
        return cache[cls]

    def mix(self, n_calls):
        self.limit = n_calls
        acts = [self.act_call] * 12 + [self.act_new] * 2 + [
            self.act_property, self.act_signal, self.act_signal, self.act_peer, self.act_peer,
            self.act_function, self.act_cancel, self.act_turn, self.act_drop]
        self.act_new()
        while self.n_calls < n_calls:
            self.chance.choice(acts)() if self.stage.cast else self.act_new()
            self.stage.drop_some()
            if self.chance.random() < 0.02:
                self.settle()

    def walk(self, cls):
        self.limit = 0
        for state in self.stage.states(cls):
            for callable_ in self.callables(cls):
                if not LONG and self.chance.random() < 0.5:
                    continue
                worked, target = self.attempt(f'{cls.__name__} {state}',
                                              lambda: self.stage.make(cls, state))
                if worked:
                    self.call(target, callable_)
                    self.stage.turn(3)
                self.stage.drop_some()
            self.settle()

    # What must be so

    def settle(self):
        """Nothing runs for ever when nobody does anything."""
        until = time.monotonic() + 5 * fixture.SLOW
        while self.stage.turn(1000) == 1000:
            if time.monotonic() > until:
                self.say(f'Traceback: it spins: {self.stage.cast} {self.stage.peers}')
                sys.exit(1)

    def finish(self, before):
        self.n_calls += 1
        self.say('strike')
        self.stage.strike()

        def left():
            self.stage.results.clear()  # Of calls that were closed.
            gc.collect()
            return {fd: link for fd, link in fixture.open_fds().items() if before.get(fd) != link}
        tick = GLib.timeout_add(10, lambda: True)
        try:
            fixture.wait_for(lambda: not left(), deadline=10 * fixture.SLOW)
        except AssertionError:
            self.say(f'Traceback: left open: {left()}')
            sys.exit(1)
        finally:
            GLib.source_remove(tick)
        if Usock.count_held(None):
            self.say(f'Traceback: {Usock.count_held(None)} sockets are still held')
            sys.exit(1)


class Task:
    """Awaits one call. What comes of it is not of interest."""

    def __init__(self, awaitable):
        self._task = Usock.spawn(self._body(awaitable))

    async def _body(self, awaitable):
        try:
            await awaitable
        except (GLib.Error, TypeError, ValueError, OverflowError, RuntimeError, AttributeError):
            pass

    def cancel(self):
        self._task.cancel()


def run_batch(api_path, kind, what, seed):
    api = Api(api_path)
    warm_up()
    before = fixture.open_fds()
    batch = Batch(api, int(seed))
    if kind == 'walk':
        batch.walk(getattr(Usock, what))
    else:
        batch.mix(int(what))
    batch.finish(before)
    print(batch.n_calls)


def warm_up():
    """What GLib's contexts, the reactor, the resolver and the first monitor keep for good."""
    first, second = Usock.Seqpacket.pair()
    log = fixture.Log(first, 'close')
    first.close()
    second.close()
    log.wait('close')
    Gio.Resolver.get_default()
    Gio.File.new_for_path('/').monitor(Gio.FileMonitorFlags.NONE).cancel()
    del first, second, log
    gc.collect()


def is_misuse(line):
    critical = CRITICAL.search(line)
    if critical:
        return critical[1] in MISUSE
    # Of a property that was set, GObject says so itself.
    return 'is invalid or out of range for property' in line


class TestAbuse(unittest.TestCase):
    def batch(self, kind, what, seed):
        command = [sys.executable, __file__, API_PATH, kind, str(what), str(seed)]
        environment = {name: value for name, value in os.environ.items() if name != 'G_DEBUG'}
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            _, said = child.communicate(timeout=PATIENCE)
            ending = f'exit code {child.returncode}' if child.returncode else ''
        except subprocess.TimeoutExpired:
            child.kill()
            _, said = child.communicate()
            ending = 'it hangs'
        lines = said.decode(errors='backslashreplace').splitlines()
        at = [i for i, line in enumerate(lines) if COMPLAINT.search(line) and not is_misuse(line)]
        if not ending and not at:
            return
        replay = ' '.join(command)
        last = '\n'.join(lines[max(0, at[0] - 8):at[0] + 25] if at else lines[-25:])
        self.fail(f'{ending or "it complains"}; G_DEBUG= {replay}\n{last}')

    def test_walk(self):
        for cls in CLASSES:
            with self.subTest(cls=cls.__name__):
                self.batch('walk', cls.__name__, SEED)

    def test_mix(self):
        for seed in range(SEED, SEED + (100 if LONG else 3)):
            with self.subTest(seed=seed):
                self.batch('mix', 5000 if LONG else 1500, seed)


if __name__ == '__main__':
    API_PATH = sys.argv[1]
    tap.PATIENCE = 3600
    if len(sys.argv) > 2:
        run_batch(*sys.argv[1:])
    else:
        tap.main()
