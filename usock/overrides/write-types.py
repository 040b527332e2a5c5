#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Writes the types of what scripts see: write-types.py LANGUAGE GIR OVERRIDE... >OUTPUT

LANGUAGE is python or javascript. What the library has by itself comes from the GIR; what the
overrides add or change from their own signatures: of Usock.py with its hints, of Usock.js with what
Usock.py says of the call of the same name. No type is written down a second time."""

import ast
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'doc'))
import overrides as written  # noqa: E402

CORE = '{http://www.gtk.org/introspection/core/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'

INTEGERS = {f'g{sign}int{size}' for sign in ('', 'u') for size in ('', 8, 16, 32, 64)}
INTEGERS |= {'gint', 'guint', 'gsize', 'gssize', 'glong', 'gulong', 'guint', 'GType'}
NUMBERS = {'gdouble', 'gfloat'}
TEXTS = {'utf8', 'filename'}

# What the bindings take care of, or cannot call.
SILENT = {'ref', 'unref'}


# The GIR

class Type:
    """Of an argument or a result, as the GIR has it."""

    def __init__(self, element, takes=False):
        array = element.find(CORE + 'array')
        inner = element.find(CORE + 'type')
        self.nullable = element.get('nullable') == '1' or element.get('allow-none') == '1'
        self.is_array = array is not None
        if array is not None:
            inner = array.find(CORE + 'type')
        self.name = inner.get('name') if inner is not None else 'none'
        if array is not None and array.get('name') == 'GLib.ByteArray':
            self.name, self.is_array = 'guint8', True
        self.inner = [each.get('name') for each in inner] if inner is not None else []
        self.takes = takes


class Call:
    def __init__(self, element):
        self.name = element.get('name')
        self.kind = element.tag.removeprefix(CORE)
        self.throws = element.get('throws') == '1'
        parameters = element.findall(f'{CORE}parameters/{CORE}parameter')
        hidden = set()
        for each in [*parameters, element.find(CORE + 'return-value')]:
            array = each.find(CORE + 'array')
            if array is not None and array.get('length'):
                hidden.add(int(array.get('length')))
            for key in ('closure', 'destroy'):
                if each.get('scope') and each.get(key):
                    hidden.add(int(each.get(key)))
        self.is_async = any(each.get('scope') == 'async' for each in parameters)
        self.takes, self.gives = [], []
        for index, each in enumerate(parameters):
            if index in hidden or each.get('scope') == 'async':
                continue
            if each.get('direction') == 'out':
                self.gives.append(Type(each))
            else:
                kind = 'callback' if each.get('scope') else Type(each, takes=True)
                self.takes.append((each.get('name'), kind))
        result = element.find(CORE + 'return-value')
        returned = Type(result)
        if returned.name != 'none' or returned.is_array:
            self.gives.insert(0, returned)


class Class:
    def __init__(self, element):
        self.name = element.get('name')
        self.parent = element.get('parent')
        self.interfaces = [each.get('name') for each in element.findall(CORE + 'implements')]
        self.is_abstract = element.get('abstract') == '1'
        self.calls = [Call(each) for kind in ('constructor', 'function', 'method')
                      for each in element.findall(CORE + kind)
                      if each.get('introspectable') != '0' and each.get('moved-to') is None
                      and each.get('name') not in SILENT]
        self.properties = [(each.get('name').replace('-', '_'), Type(each), each.get('writable') == '1')
                           for each in element.findall(CORE + 'property')]
        self.signals = [(each.get('name'), Call(each)) for each in element.findall(GLIB + 'signal')]

    def find(self, name):
        return next((call for call in self.calls if call.name == name), None)


class Gir:
    def __init__(self, path):
        namespace = ElementTree.parse(path).getroot().find(CORE + 'namespace')
        self.classes = {each.get('name'): Class(each) for kind in ('class', 'record')
                        for each in namespace.findall(CORE + kind)
                        if each.get(GLIB + 'is-gtype-struct-for') is None
                        and each.get(GLIB + 'get-type')}
        self.functions = [Call(each) for each in namespace.findall(CORE + 'function')
                          if each.get('introspectable') != '0' and each.get('moved-to') is None]
        self.enums = {each.get('name'): [member.get('name').upper() for member in each.findall(CORE + 'member')]
                      for kind in ('enumeration', 'bitfield') for each in namespace.findall(CORE + kind)}
        self.constants = [(each.get('name'), Type(each)) for each in namespace.findall(CORE + 'constant')]

    def ordered(self):
        """Each behind what it derives from."""
        done = []

        def add(name):
            if name in self.classes and name not in done:
                add(self.classes[name].parent)
                done.append(name)

        for name in self.classes:
            add(name)
        return [self.classes[name] for name in done]

    def lineage(self, name):
        while name in self.classes:
            yield self.classes[name]
            name = self.classes[name].parent


# Usock.py

class Override:
    """What one class, or with None the module, has in Usock.py."""

    def __init__(self):
        self.functions, self.properties, self.doc = {}, {}, None


def read_python(path):
    tree = ast.parse(pathlib.Path(path).read_text(encoding='utf-8'))
    found = {None: Override()}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            # Message.body = property(_from_body)
            target = node.targets[0]
            if isinstance(target.value, ast.Name) and target.value.id in found:
                found[target.value.id].properties[target.attr] = 'Any'
        if not any(isinstance(each, ast.Name) and each.id == 'export'
                   for each in getattr(node, 'decorator_list', ())):
            continue
        if isinstance(node, ast.ClassDef):
            found[node.name] = read_class(node)
        else:
            found[None].functions[node.name] = node
    return found


def read_class(node):
    override = Override()
    for member in node.body:
        if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if member.name.startswith('_') and not member.name.startswith('__'):
                continue
            if decorated(member, 'property'):
                override.properties[member.name] = ast.unparse(member.returns)
            else:
                override.functions[member.name] = member
        elif isinstance(member, ast.Assign) and 'property(' in ast.unparse(member.value):
            override.properties[member.targets[0].id] = None
    return override


def decorated(node, name):
    return any(isinstance(each, ast.Name) and each.id == name for each in node.decorator_list)


# Python

PYTHON_HEAD = '''\
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usock as Python sees it. Made by write-types.py of the introspection and of Usock.py."""

import os
import typing
from typing import (Any, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator,
                    Literal, Sequence, TypeVar, Union, overload)
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing_extensions import Self

from gi.repository import Gio, GLib, GObject

_T = TypeVar('_T')
_F = TypeVar('_F', bound=Callable[..., Any])

class _HasFileno(typing.Protocol):
    def fileno(self) -> int: ...

class _Lines(typing.Protocol):
    def __aiter__(self) -> AsyncIterator[str]: ...
    def __iter__(self) -> Iterator[str]: ...

class _Payloads(typing.Protocol):
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def __iter__(self) -> Iterator[bytes]: ...

_Buffer = Union[bytearray, memoryview]
_Data = Union[bytes, bytearray, memoryview, str, GLib.Bytes]
_Fd = Union[int, _HasFileno]
_Path = Union[str, bytes, os.PathLike[str], Gio.File]
_Place = Union[str, bytes, os.PathLike[str], Gio.File, Gio.SocketAddress]
'''


# With a handler, and as a decorator.
PYTHON_HANDLE = '''\
    @overload
    def handle(self, name: str, handler: None = None, *, signature: str | None = None) -> Callable[[_F], _F]: ...
    @overload
    def handle(self, name: str, handler: _F, *, signature: str | None = None) -> _F: ...'''


class Python:
    def __init__(self, gir, override):
        self.gir, self.override = gir, override

    def type(self, kind, owner=None):
        if kind == 'callback':
            return 'Callable[..., Any]'
        text = self._plain(kind)
        # An array that there is not is empty.
        is_given = kind.is_array and not kind.takes
        return f'{text} | None' if kind.nullable and not is_given and text != 'Any' else text

    def _plain(self, kind):
        if kind.is_array and kind.name == 'guint8':
            return '_Data' if kind.takes else 'bytes'
        if kind.is_array or kind.name in ('GLib.List', 'GLib.PtrArray'):
            inner = kind.inner[0] if kind.inner and not kind.is_array else kind.name
            of = self._name(inner)
            return f'Sequence[{of}]' if kind.takes else f'list[{of}]'
        if kind.takes and kind.name in self.gir.enums:
            return 'int'
        return self._name(kind.name)

    def _name(self, name):
        if name in INTEGERS:
            return 'int' if name != 'GType' else 'Any'
        if name in NUMBERS:
            return 'float'
        if name in TEXTS:
            return 'str'
        if name in self.gir.classes or name in self.gir.enums or name.startswith(('Gio.', 'GLib.', 'GObject.')):
            return 'GLib.Error' if name == 'GLib.Error' else name
        return {'gboolean': 'bool', 'none': 'None', 'GByteArray': 'bytes'}.get(name, 'Any')

    def result(self, call):
        kinds = [self.type(kind) for kind in call.gives]
        if not kinds:
            return 'None'
        return kinds[0] if len(kinds) == 1 else f'tuple[{", ".join(kinds)}]'

    def call(self, call, owner, indent):
        static = call.kind != 'method' and owner is not None
        arguments = [] if static or owner is None else ['self']
        optional = True
        for name, kind in reversed(call.takes):
            optional = optional and kind != 'callback' and kind.nullable
            text = f'{name}: {self.type(kind)}' + (' = None' if optional else '')
            arguments.insert(0 if static or owner is None else 1, text)
        result = self.result(call)
        if call.kind == 'constructor':
            result = owner.name
        if call.is_async:
            finish = owner.find(call.name.removesuffix('_async') + '_finish')
            if not any(name == 'timeout' for name, _ in call.takes):
                arguments += ['*', 'timeout: float | None = None']
            result = f'Awaitable[{self.result(finish)}]'
        head = f'{indent}@staticmethod\n' if static else ''
        return f'{head}{indent}def {call.name}({", ".join(arguments)}) -> {result}: ...'

    def function(self, node, indent):
        head = f'{indent}@staticmethod\n' if decorated(node, 'staticmethod') else ''
        if node.name in ('__exit__', '__aexit__'):
            word = 'async def' if node.name == '__aexit__' else 'def'
            return f'{indent}{word} {node.name}(self, *error: Any) -> None: ...'
        word = 'async def' if isinstance(node, ast.AsyncFunctionDef) else 'def'
        arguments = ast.unparse(node.args).replace('Usock.', '')
        return f'{head}{indent}{word} {node.name}({arguments}) -> {ast.unparse(node.returns)}: ...'

    def init(self, owner, node):
        """All properties that can be set, unless the override says otherwise."""
        if node is not None and node.args.kwarg is None or not self._is_object(owner):
            return self.function(node, '    ') if node is not None else None
        settable = {name: kind for each in self.gir.lineage(owner.name)
                    for name, kind, writable in each.properties if writable}
        named = []
        if node is not None:
            named = [ast.unparse(ast.arguments([], [each], None, [], [], None, []))
                     for each in node.args.args[1:]]
            named = [f'{text} = ...' for text in named]
        taken = {text.split(':')[0] for text in named}
        keywords = [f'{name}: {self.type(kind)} = ...' for name, kind in settable.items() if name not in taken]
        return f"    def __init__({', '.join(['self', *named, *(['*', *keywords] if keywords else [])])}) -> None: ..."

    def _is_object(self, owner):
        return owner.parent is not None

    def connects(self, owner):
        # In the order of the classes, so that each can stand for the one above it.
        signals = [(name, call) for each in reversed([*self.gir.lineage(owner.name)])
                   for name, call in each.signals]
        # mypy wants the overloads in the order of the class above, of which one takes all the rest.
        fewer = [sum(len(above.signals) for above in self.gir.lineage(each.name))
                 for each in self.gir.lineage(owner.name)]
        ignore = '  # type: ignore[override]' if any(0 < n < len(signals) for n in fewer) else ''
        for method in ('connect', 'connect_after'):
            for index, (name, call) in enumerate(signals):
                arguments = ', '.join([owner.name, *(self.type(self._given(kind)) for _, kind in call.takes)])
                given = call.gives[0] if call.gives else None
                result = self.type(given) if given else 'object'
                yield (f'    @overload{ignore if index == 0 else ""}\n    def {method}(self, signal: Literal[{name!r}], '
                       f'handler: Callable[[{arguments}], {result}]) -> int: ...')
            yield (f'    @overload\n    def {method}(self, signal: str, handler: Callable[..., Any], '
                   '*args: Any) -> int: ...')

    @staticmethod
    def _given(kind):
        if kind != 'callback':
            kind.takes = False
        return kind

    def props(self, owner):
        parent = f'({owner.parent}.Props)' if owner.parent in self.gir.classes else ''
        lines = [f'    class Props{parent}:']
        for name, kind, writable in owner.properties:
            kind.takes = False
            if writable:
                lines.append(f'        {name}: {self.type(kind)}')
            else:
                lines += ['        @property', f'        def {name}(self) -> {self.type(kind)}: ...']
        if len(lines) == 1:
            lines.append('        pass')
        return [*lines, '    @property', '    def props(self) -> Props: ...']

    def cls(self, owner):
        override = self.override.get(owner.name, Override())
        parent = owner.parent if owner.parent in self.gir.classes or '.' in (owner.parent or '') else None
        bases = ', '.join(filter(None, [parent, *owner.interfaces]))
        yield f"class {owner.name}{f'({bases})' if bases else ''}:"
        if self._is_object(owner):
            yield from self.props(owner)
        init = self.init(owner, override.functions.get('__init__'))
        if init:
            yield init
        if self._is_object(owner) and any(each.signals for each in self.gir.lineage(owner.name)):
            yield from self.connects(owner)
        for name, result in override.properties.items():
            if name != 'props':
                getter = owner.find(f'get_{name}')
                yield f'    @property\n    def {name}(self) -> {result or self.result(getter)}: ...'
        if 'handle' in override.functions:
            yield PYTHON_HANDLE
        for name, node in override.functions.items():
            if name not in ('__init__', 'handle', 'connect', 'connect_after', '__repr__', '__del__'):
                yield self.function(node, '    ')
        for call in owner.calls:
            if call.name not in override.functions and call.name not in override.properties:
                yield self.call(call, owner, '    ')

    def own_class(self, name):
        override = self.override[name]
        bases = {'Error': '(GLib.Error)', 'Task': '(Future)'}.get(name, '')
        yield f'class {name}{bases}:'
        if name == 'Error':
            yield '    errno: int | None'
        for each, result in override.properties.items():
            yield f'    @property\n    def {each}(self) -> {result}: ...'
        for each, node in override.functions.items():
            if each not in ('__repr__', '__del__'):
                yield self.function(node, '    ')

    def enum(self, name, members):
        yield f'class {name}(int):'
        yield '    value_name: str\n    value_nick: str'
        for operator in ('or', 'and', 'xor'):
            yield f'    def __{operator}__(self, other: int) -> {name}: ...'
        yield f'    def __invert__(self) -> {name}: ...'
        yield from (f'    {member}: {name}' for member in members)

    def write(self):
        yield PYTHON_HEAD
        for name, kind in self.gir.constants:
            yield f'{name}: {self.type(kind)}'
        for name, members in self.gir.enums.items():
            yield ''
            yield from self.enum(name, members)
        for owner in self.gir.ordered():
            yield ''
            yield from self.cls(owner)
        for name in self.override:
            if name is not None and name not in self.gir.classes:
                yield ''
                yield from self.own_class(name)
        yield ''
        functions = self.override[None].functions
        for node in functions.values():
            yield self.function(node, '')
        for call in self.gir.functions:
            if call.name not in functions:
                yield self.call(call, None, '')


# JavaScript

JS_HEAD = '''\
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// usock as GJS sees it. Made by write-types.py of the introspection, of Usock.js and of Usock.py.

declare module 'gi://Usock?version=1' {
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';

namespace Usock {
type Data = Uint8Array | ArrayBuffer | ArrayBufferView | string | GLib.Bytes;
type Descriptor = number | {get_fd(): number} | {fd: number};
type Place = string | Gio.File | Gio.SocketAddress;
interface Waiting { timeout?: number; cancellable?: Gio.Cancellable | null }
'''
JS_TAIL = '''\
}
export default Usock;
}

declare module 'gi://Usock' {
import Usock from 'gi://Usock?version=1';
export default Usock;
}
'''

# Of arguments and options, which have the same name wherever they are.
JS_NAMES = {
    'data': 'Data | Message', 'text': 'string', 'where': 'Place', 'path': 'string | Gio.File', 'host': 'string',
    'destination': 'Place | null', 'destinations': 'string[]', 'delimiter': 'Data', 'fd': 'Descriptor',
    'fds': 'Descriptor[]', 'name': 'string', 'level': 'number', 'type': 'number', 'value': 'any',
    'error': 'any', 'body': 'any', 'signature': 'string', 'messages': '(Message | Data)[]',
    'message': 'Message | Data', 'handler': '(...args: any[]) => any', 'items': 'any[]', 'state': 'string',
    'cancellable': 'Gio.Cancellable | null', 'argv': 'string[]', 'sizes': 'number | number[]',
    'context': 'GLib.MainContext | null', 'bytes': 'GLib.Bytes', 'view': 'ArrayBuffer | ArrayBufferView',
    'address': 'Gio.SocketAddress', 'group': 'string | null', 'action': '() => any', 'signal': 'string',
}
# What JavaScript gives in another shape.
JS_RESULTS = {
    'lines': 'AsyncIterable<string>', 'payloads': 'AsyncIterable<Uint8Array>',
    'corked': 'Promise<any>', 'steal_fd': '[number, Uint8Array]',
    'steal_connection': '[Gio.SocketConnection, Uint8Array]', 'cork': 'void', 'poll': '[any, number][]',
    'set_group': 'void', 'append_bytes': 'void', 'spawn': '[this_, Gio.Subprocess]', 'pair': '[this_, this_]',
    'new_for_name': 'this_', 'new_activated': 'this_', 'new_from_fd': 'this_', 'new_from_bound_fd': 'this_',
    'new_for_interface': 'this_', 'send_bytes': 'boolean', 'open_reuse_port_fd': 'number',
    'recvmsg_into': '[Message | null, number]', 'new_from_memfd': 'Message',
}


class JavaScript:
    def __init__(self, gir, override, entries):
        self.gir, self.python = gir, override
        self.entries = {}
        for entry in entries:
            constructs = entry.static and entry.name.startswith('new_')
            if constructs and not any(each.find(entry.name) for each in gir.lineage(entry.owner)):
                continue
            self.entries.setdefault(entry.owner, {})[entry.name] = entry

    def type(self, kind):
        if kind == 'callback':
            return '(...args: any[]) => any'
        text = self._plain(kind)
        return f'{text} | null' if kind.nullable else text

    def _plain(self, kind):
        if kind.is_array and kind.name == 'guint8':
            return 'Data' if kind.takes else 'Uint8Array'
        if kind.is_array or kind.name in ('GLib.List', 'GLib.PtrArray'):
            return f'{self._name(kind.inner[0] if kind.inner and not kind.is_array else kind.name)}[]'
        return self._name(kind.name)

    def _name(self, name):
        if name == 'GType':
            return 'any'
        if name in INTEGERS | NUMBERS:
            return 'number'
        if name in TEXTS:
            return 'string'
        if name in self.gir.classes or name in self.gir.enums or name.startswith(('Gio.', 'GLib.', 'GObject.')):
            return name
        return {'gboolean': 'boolean', 'none': 'void', 'GByteArray': 'Uint8Array'}.get(name, 'any')

    def result(self, call):
        kinds = [self.type(kind) for kind in call.gives]
        if not kinds:
            return 'void'
        return kinds[0] if len(kinds) == 1 else f'[{", ".join(kinds)}]'

    def _arguments(self, call):
        texts, optional = [], True
        for name, kind in reversed(call.takes):
            optional = optional and kind != 'callback' and kind.nullable
            name = f'{name}_' if name in ('function', 'interface') else name
            texts.insert(0, f'{name}{"?" if optional else ""}: {self.type(kind)}')
        return texts

    def call(self, call, owner):
        static = 'static ' if call.kind != 'method' and owner is not None else ''
        texts, result = self._arguments(call), self.result(call)
        if call.kind == 'constructor':
            result = owner.name
        if call.is_async:
            finish = owner.find(call.name.removesuffix('_async') + '_finish')
            texts = [text for text in texts if not text.startswith('cancellable')]
            texts.append('options?: Waiting | Gio.Cancellable | null')
            result = f'Promise<{self.result(finish)}>'
        return f'{static}{call.name}({", ".join(texts)}): {result};'

    def _of_python(self, owner, name):
        """What Usock.py says of the call of that name, in TypeScript."""
        for each in [*(each.name for each in self.gir.lineage(owner)), None]:
            found = self.python.get(each, Override())
            if name in found.functions:
                return self._translate(ast.unparse(found.functions[name].returns))
            if name in found.properties and found.properties[name]:
                return self._translate(found.properties[name])
        return None

    def _translate(self, text):
        text = re.sub(r'tuple\[(.*)\]', r'[\1]', text)
        text = re.sub(r'list\[((?:[^][]|\[[^]]*\])*)\]', r'(\1)[]', text)
        text = re.sub(r'Awaitable\[(.*)\]', r'Promise<\1>', text)
        words = {'int': 'number', 'float': 'number', 'str': 'string', 'bytes': 'Uint8Array', 'bool': 'boolean',
                 'None': 'null', 'Any': 'any', 'Self': 'this', '_T': 'any'}
        text = re.sub(r'\b[A-Za-z_]\w*\b', lambda match: words.get(match[0], match[0]), text)
        return 'void' if text == 'null' else text.replace('Promise<null>', 'Promise<void>')

    def entry(self, entry):
        protocols = {'asyncIterator': '[Symbol.asyncIterator](): AsyncIterator<{}>;',
                     'iterator': '[Symbol.iterator](): IterableIterator<{}>;',
                     'dispose': None, 'asyncDispose': None}
        if entry.name in protocols:
            of = 'Channel' if entry.owner in ('Server', 'Client') else 'Message'
            return protocols[entry.name] and protocols[entry.name].format(of)
        match = re.fullmatch(r'(\w+)\((.*)\)', entry.signature)
        if match is None:
            return f'readonly {entry.name}: {self._of_python(entry.owner, entry.name) or "any"};'
        texts = [self._argument(each, entry.name) for each in re.findall(r'\{[^}]*\}|[^,{}]+', match[2])
                 if each.strip()]
        result = JS_RESULTS.get(entry.name) or self._of_python(entry.owner, entry.name)
        if result is None:
            call = next((each.find(entry.name) for each in self.gir.lineage(entry.owner)
                         if each.find(entry.name)), None)
            result = self.result(call) if call else 'any'
        result = result.replace('this_', entry.owner or 'any')
        if entry.awaited and not result.startswith('Promise<'):
            result = f'Promise<{result}>'
        static = 'static ' if entry.static and entry.owner is not None else ''
        return f'{static}{entry.name}({", ".join(texts)}): {result};'

    def _argument(self, text, call):
        text = text.strip()
        if text.startswith('{'):
            names = re.findall(r'\w+', text)
            fields = '; '.join(f'{name}?: {self._of_name(name, call)}' for name in names)
            extra = 'number | ' if call in ('close_gracefully', 'open', 'accept') else ''
            return f'options?: {extra}{{{fields}}}'
        name, _, default = text.partition(' = ')
        return f'{name}{"?" if default else ""}: {self._of_name(name, call)}' + (
            ' | null' if default == 'null' and 'null' not in self._of_name(name, call) else '')

    @staticmethod
    def _of_name(name, call):
        if name == 'name' and call in ('get_option', 'set_option'):
            return 'number'
        return JS_NAMES.get(name, 'number')

    def signals(self, owner):
        # In the order of the classes, so that each can stand for the one above it.
        signals = [(name, call) for each in reversed([*self.gir.lineage(owner.name)])
                   for name, call in each.signals]
        for method in ('connect', 'connect_after'):
            for name, call in signals:
                for _, kind in call.takes:
                    kind.takes = False
                texts = [f'source: {owner.name}', *(f'{key}: {self.type(kind)}' for key, kind in call.takes)]
                result = self.result(call) if call.gives else 'any'
                yield f"{method}(signal: '{name}', handler: ({', '.join(texts)}) => {result}): number;"
            yield f'{method}(signal: string, handler: (...args: any[]) => any): number;'

    def cls(self, owner):
        entries = self.entries.get(owner.name, {})
        parent = owner.parent if owner.parent in self.gir.classes or '.' in (owner.parent or '') else None
        yield f"class {owner.name}{f' extends {parent}' if parent else ''} {{"
        if parent:
            settable = {name: kind for each in self.gir.lineage(owner.name)
                        for name, kind, writable in each.properties if writable}
            fields = '; '.join(f'{name}?: {self.type(kind)}' for name, kind in settable.items())
            extra = ' | Channel' if owner.name == 'Peer' else ''
            yield f'    constructor(properties?: {{{fields}}}{extra});'
            for name, kind, writable in owner.properties:
                kind.takes = False
                camel = re.sub('_(.)', lambda match: match[1].upper(), name)
                for each in dict.fromkeys((name, camel)):
                    yield f'    {"" if writable else "readonly "}{each}: {self.type(kind)};'
            yield from (f'    {line}' for line in self.signals(owner))
        else:
            yield f'    constructor(data?: Data, fds?: Descriptor[]);'
        known = self.python['Message'].properties if owner.name == 'Message' else {}
        for entry in entries.values():
            if entry.name not in ('connect', 'connect_after') and entry.name not in known:
                line = self.entry(entry)
                if line:
                    yield f'    {line}'
        for call in owner.calls:
            if call.name not in entries:
                yield f'    {self.call(call, owner)}'
        if owner.name == 'Message':
            for name, result in self.python['Message'].properties.items():
                getter = owner.find(f'get_{name}')
                text = self._translate(result) if result else self.result(getter)
                yield f'    readonly {name}: {text};'
        if owner.find('close_gracefully_async'):
            result = self.result(owner.find('close_gracefully_finish'))
            yield f'    close_gracefully(timeout?: number, options?: Waiting): Promise<{result}>;'
        yield '}'
        for interface in owner.interfaces:
            yield f'interface {owner.name} extends {interface} {{}}'

    def write(self):
        yield JS_HEAD
        for name, kind in self.gir.constants:
            yield f'const {name}: {self.type(kind)};'
        for name, members in self.gir.enums.items():
            yield f'enum {name} {{ {", ".join(members)} }}'
        for owner in self.gir.ordered():
            yield from self.cls(owner)
        entries = self.entries.get(None, {})
        for entry in entries.values():
            if entry.name not in self.gir.classes:
                yield f'function {self.entry(entry)}'
        for call in self.gir.functions:
            if call.name not in entries:
                yield f'function {self.call(call, None)}'
        yield JS_TAIL


def main():
    language, path, *sources = sys.argv[1:]
    gir, override = Gir(path), read_python(sources[0])
    if language == 'python':
        lines = Python(gir, override).write()
    else:
        entries, _ = written.javascript(pathlib.Path(sources[1]).read_text(encoding='utf-8'))
        lines = JavaScript(gir, override, entries).write()
    print('\n'.join(lines))


main()
