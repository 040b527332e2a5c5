#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Holds the floors of the house: a room includes only rooms of lower floors."""

import pathlib
import re
import sys

FLOORS = [
    ['types', 'constants', 'version', 'enums', 'error', 'compat', 'operation', 'control'],
    ['address', 'message'],
    ['queue'],
    ['io'],
    ['reactor', 'option', 'path', 'activation', 'notify'],
    ['socket', 'waiter', 'connector', 'notify'],
    ['channel', 'poll'],
    ['handle', 'seqpacket', 'stream', 'dgram'],
    ['server'],
]

# What defines the ground floor may lean on itself.
SAME_FLOOR = {('types', 'version'), ('constants', 'version')}

# Which rooms may include these headers.
SYSTEM = {
    'sys/epoll.h': {'reactor'},
    'sys/socket.h': {'io', 'option', 'address', 'control'},
    'sys/un.h': {'io', 'option', 'address'},
}

FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(name):
    """usock-channel-send.c and usock-channel-private.h are of the room channel."""
    words = re.fullmatch(r'usock-([a-z-]+)\.[ch](\.in)?', name).group(1)
    return words.split('-')[0]


def problems_of(path):
    room = room_of(path.name)
    if room not in FLOOR_OF:
        yield f'{path.name} is of no floor'
        return
    for include in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.M):
        name = include.rpartition('/')[2]
        if room not in SYSTEM.get(include, {room}):
            yield f'{path.name} includes {include}, which is for {SYSTEM[include]}'
        if name == 'usock.h':
            yield f'{path.name} includes the header of programs'
        if not name.startswith('usock-') or room_of(name) == room:
            continue
        below = FLOOR_OF.get(room_of(name), len(FLOORS)) < FLOOR_OF[room]
        if not below and (room, room_of(name)) not in SAME_FLOOR:
            yield f'{path.name} (floor {FLOOR_OF[room]}) includes {name}'


def main():
    files = sorted(pathlib.Path(sys.argv[1]).glob('usock-*.[ch]'))
    problems = [problem for path in files for problem in problems_of(path)]
    if len(files) < 10:
        problems.append(f'only {len(files)} files found')
    print('\n'.join(problems) or f'{len(files)} files keep their floors')
    sys.exit(bool(problems))


main()
