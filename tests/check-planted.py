#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Plants violations of each kind in a small house, and expects check-layers.py to find them.

check-planted.py CC
"""

import pathlib
import shlex
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name('check-layers.py')

# A house in order: a room above calls one below, and inside a room calls run down its list.
HOUSE = {
    'base/usock-error-private.h': 'int usock_error (void);\n',
    'base/usock-error.c': '#include "usock-error-private.h"\nint usock_error (void) { return 1; }\n',
    'path/usock-path-private.h': 'int usock_path (void);\nint usock_path_take_over (void);\n',
    'path/usock-path.c': '#include "usock-path-private.h"\n'
                         'int usock_path (void) { return usock_path_take_over (); }\n',
    'path/usock-path-take-over.c': '#include "usock-error-private.h"\n'
                                   'int usock_path_take_over (void) { return usock_error (); }\n',
}

PLANTED = {
    'an include upwards': (
        {'base/usock-error.c': '#include "usock-path-private.h"\nint usock_error (void) { return 1; }\n'},
        'includes usock-path-private.h of path'),
    'a call upwards': (
        {'base/usock-error.c': 'int usock_path (void);\nint usock_error (void) { return usock_path (); }\n'},
        'calls usock_path() of path'),
    'a call up inside a room': (
        {'path/usock-path-take-over.c': 'int usock_path (void);\n'
                                        'int usock_path_take_over (void) { return usock_path (); }\n'},
        'which does not stand below it'),
    'a call between files that stand side by side': (
        {'path/usock-activation.c': 'int usock_path (void);\n'
                                    'int usock_activation (void) { return usock_path (); }\n'},
        'which does not stand below it'),
    'a function handed up by its address': (
        {'path/usock-path-take-over.c': 'int usock_path (void);\nint (*usock_back) (void) = usock_path;\n'
                                        'int usock_path_take_over (void) { return 1; }\n'},
        'which does not stand below it'),
    'a file without a place': (
        {'path/usock-stray.c': 'int usock_stray (void) { return 1; }\n'}, 'has no place in path'),
    'a room without a floor': (
        {'cellar/usock-cellar.c': 'int usock_cellar (void) { return 1; }\n'}, 'is of no floor'),
    'a private header in the tool': (
        {'tool/main.c': '#include "usock-path-private.h"\n'}, 'of the tool includes usock-path-private.h'),
    'a header of another floor': (
        {'path/usock-path.c': '#include <sys/epoll.h>\n#include "usock-path-private.h"\n'
                              'int usock_path (void) { return usock_path_take_over (); }\n'},
        'includes sys/epoll.h'),
}


def check(files, compiler, directory):
    sources, objects = directory / 'usock', directory / 'objects'
    objects.mkdir()
    for name, text in files.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    flags = [f'-I{room}' for room in sorted(sources.iterdir())]
    for path in sorted(sources.glob('*/*.c')):
        subprocess.run([*compiler, *flags, '-O0', '-c', path, '-o',
                        objects / f'{path.parent.name}_{path.name}.o'], check=True)
    return subprocess.run([sys.executable, CHECK, sources, objects], capture_output=True, text=True,
                          check=False)


def main():
    compiler = shlex.split(sys.argv[1])
    failed = False
    for what, (files, expected) in {'nothing': ({}, ''), **PLANTED}.items():
        with tempfile.TemporaryDirectory() as directory:
            done = check({**HOUSE, **files}, compiler, pathlib.Path(directory))
        found = (done.returncode == 0) if not files else (done.returncode == 1 and expected in done.stdout)
        print(f'{"found" if found else "NOT FOUND"}: {what}')
        if not found:
            print(done.stdout, done.stderr)
        failed |= not found
    sys.exit(failed)


main()
