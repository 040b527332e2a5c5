#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Looks with nm at what each object file of the library imports.

Socket calls, and waiting for sockets, belong to the kernel room, so that the faults built in there
are all that can happen; epoll, GSource and timers belong to the reactor, so that there is one clock.
"""

import pathlib
import re
import subprocess
import sys

SOCKET = r'''socket|socketpair|bind|connect|listen|accept4?|shutdown|getsockopt|setsockopt
    |p?poll|select|getsockname|getpeername|(send|recv)(m?msg|to|from)?|cmsg_nxthdr
    |g_socket_(?!(address|connectable|family|msg_flags|protocol|type)_).*|g_unix_(connection|fd)_.*'''
LOOP = r'''epoll_.*|g_source_new|g_source_attach|g_(timeout|idle)_.*|g_unix_fd_.*'''

OWNERS = {'kernel': SOCKET, 'reactor': LOOP}

# What the owner must import: else this test would pass for having looked at nothing.
SURELY = {'kernel': {'socket', 'sendmsg', 'bind', 'poll'}, 'reactor': {'epoll_ctl', 'g_source_new'}}


def imports_of(path):
    """The fortified __recv_chk and the versioned connect@GLIBC_2.2.5 are the plain calls."""
    lines = subprocess.run(['nm', '-u', path], check=True, capture_output=True, text=True).stdout
    for line in lines.splitlines():
        yield re.sub(r'^_*(.*?)(_chk|64)?(@.*)?$', r'\1', line.split()[-1])


def main():
    problems = []
    seen = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob('*.c.o')):
        room, _, name = path.name.removesuffix('.c.o').rpartition('_')
        calls_of_file = set(imports_of(path))
        seen.setdefault(room, set()).update(calls_of_file)
        for owner, calls in OWNERS.items():
            wrong = {call for call in calls_of_file if re.fullmatch(calls, call, re.X)}
            if wrong and room != owner:
                problems.append(f'{name} calls {", ".join(sorted(wrong))}: that is for {owner}')
    for owner, calls in SURELY.items():
        if not calls <= seen.get(owner, set()):
            problems.append(f'{owner} does not even call {", ".join(sorted(calls))}')
    print('\n'.join(problems) or f'{len(seen)} rooms call only what is theirs')
    sys.exit(bool(problems))


main()
