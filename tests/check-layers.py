#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Holds the floors of the house, and the way that calls run inside a room.

check-layers.py SOURCES OBJECTS

SOURCES is the folder with one folder a room, OBJECTS the one with the object files made of them. A
room includes, and calls, only rooms of lower floors; inside a room a file calls only files that
stand further down in its list. What a class needs to know of itself everywhere, its GType, is no
call. The tool is a program as others are, and stands on the header of programs alone.
"""

import pathlib
import re
import subprocess
import sys

# From the ground up.
FLOORS = [
    ['base'],
    ['message', 'address'],
    ['kernel'],
    ['reactor', 'option', 'path'],
    ['socket'],
    ['channel'],
    ['stream', 'dgram', 'handle', 'seqpacket'],
    ['server'],
    ['peer'],
    ['client', 'spawn'],
]

# From the top down; files of one line do not call each other.
ROOMS = {
    'base': ['error closer operation version', 'fork'],
    'message': ['queue message-control message-body message-memfd', 'message', 'message-fd', 'control'],
    'address': ['address-service', 'address', 'address-text', 'address-packet'],
    'reactor': ['reactor', 'reactor-watch', 'reactor-place', 'reactor-direct reactor-epoll',
                'reactor-heap', 'reactor-access reactor-ready', 'guest'],
    'kernel': ['io-close', 'io-receive io-send', 'io-control io-name', 'io'],
    'option': ['option', 'option-unpack option-table option-pack', 'option-network',
               'option-value'],
    'path': ['activation path', 'path-take-over', 'path-lock', 'path-file'],
    'socket': ['poll socket-option socket-peer socket-steal', 'socket', 'socket-life',
               'socket-name socket-signals', 'socket-access', 'connector waiter notify'],
    'stream': ['stream', 'stream-connect stream-lines stream-receive',
               'stream-assemble stream-race', 'stream-call'],
    'channel': [
        'channel', 'channel-connect channel-end channel-pass channel-post',
        'channel-send channel-receive channel-surrender', 'channel-turn',
        'channel-bind', 'channel-open', 'channel-read', 'channel-deliver', 'channel-flush',
        'channel-write',
        'channel-life',
        'channel-signals inlet-take outlet-give pending', 'inlet outlet-write',
        'outlet eagerness postbox',
    ],
    'dgram': ['dgram dgram-bind dgram-send', 'dgram-lookup', 'dgram-open', 'dgram-outlet', 'dgram-peer',
              'dgram-congestion', 'dgram-route', 'dgram-signal'],
    'peer': ['peer-ask peer-handle', 'peer', 'peer-limits peer-read', 'call', 'peer-pending',
             'peer-write',
             'frame peer-body peer-error peer-signal'],
    'handle': ['handle-connect handle-transfer', 'handle'],
    'seqpacket': ['seqpacket'],
    'client': ['client-send client-start client-wait', 'client', 'client-link', 'client-item',
               'client-place client-signals'],
    'spawn': ['spawn'],
    'server': ['server', 'server-property', 'server-host server-name server-path', 'server-adopt', 'server-listen',
               'server-listener', 'server-accept server-broadcast server-close',
               'server-acceptor', 'server-model', 'server-channel server-inet server-policy',
               'server-signal server-wake'],
}

# Which rooms may include these headers.
SYSTEM = {
    'sys/epoll.h': {'reactor'},
    'sys/socket.h': {'kernel', 'option', 'address', 'message'},
    'sys/un.h': {'kernel', 'option', 'address'},
}

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def may_lean_on(room, other):
    return room == other or FLOOR_OF[other] < FLOOR_OF[room]


def include_problems(path, room_of):
    room = path.parent.name
    for include in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.M):
        name = include.rpartition('/')[2]
        if room not in SYSTEM.get(include, {room}):
            yield f'{path.name} includes {include}, which is for {SYSTEM[include]}'
        if name == 'usock.h':
            yield f'{path.name} includes the header of programs'
        if name in room_of and not may_lean_on(room, room_of[name]):
            yield f'{path.name} of {room} includes {name} of {room_of[name]}'


def tool_problems(path):
    for include in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.M):
        if 'usock' in include and include != 'usock/usock.h':
            yield f'{path.name} of the tool includes {include}'


def symbols_of(path):
    """What an object file defines for others, and what it takes from them."""
    defined, taken = set(), set()
    lines = subprocess.run(['nm', path], check=True, capture_output=True, text=True).stdout
    for line in lines.splitlines():
        kind, name = line.split()[-2:]
        if kind == 'U':
            taken.add(name)
        elif kind.isupper():
            defined.add(name)
    return defined, {name for name in taken if not name.endswith('_get_type')}


def read_objects(directory):
    """By (room, file): what each defines and takes. Generated files are of no room."""
    objects = {}
    for path in sorted(directory.glob('*_usock-*.c.o')):
        room, _, name = path.name.removesuffix('.c.o').rpartition('_')
        if room in FLOOR_OF:
            objects[room, name.removeprefix('usock-')] = symbols_of(path)
    return objects


def rank_of(room, name):
    for rank, names in enumerate(ROOMS[room]):
        if name in names.split():
            return rank
    return None


def call_problems(objects):
    owner = {symbol: file for file, (defined, _) in objects.items() for symbol in defined}
    for (room, name), (_, taken) in objects.items():
        if room in ROOMS and rank_of(room, name) is None:
            yield f'{name} has no place in {room}'
            continue
        for symbol in sorted(taken & owner.keys()):
            other_room, other = owner[symbol]
            if not may_lean_on(room, other_room):
                yield f'{name} of {room} calls {symbol}() of {other_room}'
            if (room in ROOMS and room == other_room and name != other
                    and (rank_of(room, other) or 0) <= rank_of(room, name)):
                yield f'{name} calls {symbol}() of {other}, which does not stand below it'


def main():
    files = sorted(pathlib.Path(sys.argv[1]).glob('*/usock-*.[ch]'))
    room_of = {path.name: path.parent.name for path in files}
    problems = [f'{path} is of no floor' for path in files if path.parent.name not in FLOOR_OF]
    for path in files:
        if path.parent.name in FLOOR_OF:
            problems += include_problems(path, room_of)
    for path in sorted((pathlib.Path(sys.argv[1]) / 'tool').glob('*.[ch]')):
        problems += tool_problems(path)
    objects = read_objects(pathlib.Path(sys.argv[2]))
    problems += call_problems(objects)
    sources = {path.stem for path in files if path.suffix == '.c'}
    problems += [f'{name}.c was not compiled, or is in two rooms'
                 for name in sources ^ {f'usock-{name}' for _, name in objects}]
    if not files:
        problems.append('there are no files')
    print('\n'.join(problems) or f'{len(files)} files keep their floors')
    sys.exit(bool(problems))


main()
