#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Compiles the public headers as programs do, in C and C++.

check-headers.py CC CXX HEADER...
Each header compiles through usock.h and, in the library, alone; each refuses to be included
directly; none includes a private one. Private ones are found beside them by who is given the folders
of the sources and of the build alone.
"""

import pathlib
import re
import subprocess
import sys

REFUSAL = 'Only <usock/usock.h> can be included directly'
LANGUAGES = [('c', 'gnu99'), ('c', 'gnu17'), ('c++', 'c++11'), ('c++', 'c++17')]


def compile_(code, language, flags, compilers):
    name, standard = language
    command = [*compilers[name], '-x', name, f'-std={standard}', '-fsyntax-only', *flags, '-']
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ''


def problems_of(header, umbrella, flags, compilers):
    include = f'#include <{header.name}>\n'
    if re.search(r'#\s*include\s*["<][^">]*-private\.h', header.read_text()):
        yield f'{header.name} includes a private header'
    if header.name == 'usock.h':
        return
    if f'#include "{header.name}"' not in umbrella:
        yield f'usock.h does not include {header.name}'
    # What it includes refuses too, but whoever reads the header would not know.
    refusal = rf'^\S*/{header.name}:\d+:\d+: error: .*{REFUSAL}'
    if not re.search(refusal, compile_(include, LANGUAGES[0], flags, compilers), re.M):
        yield f'{header.name} may be included directly'
    yield compile_(f'#define USOCK_COMPILATION\n{include}', LANGUAGES[0], flags, compilers)


def problems_of_flat(umbrella, compilers):
    sources, build = umbrella.resolve().parent, pathlib.Path('usock')
    folders = [f'-I{folder}' for folder in (sources, build, sources.parent, build.parent)]
    glib = subprocess.run(['pkg-config', '--cflags', 'gio-unix-2.0'], check=True,
                          capture_output=True, text=True).stdout.split()
    code = '#include <usock/usock.h>\n#include "usock-io-private.h"\n'
    return compile_(code, LANGUAGES[1], ['-DUSOCK_COMPILATION', '-DUSOCK_FAULTS', *folders, *glib],
                    compilers)


def main():
    compilers = {'c': sys.argv[1].split(), 'c++': sys.argv[2].split()}
    headers = [pathlib.Path(name) for name in sys.argv[3:]]
    flags = subprocess.run(['pkg-config', '--cflags', 'usock-1'], check=True,
                           capture_output=True, text=True).stdout.split()
    flags += ['-Wall', '-Wextra', '-Werror']
    umbrella = next(h for h in headers if h.name == 'usock.h').read_text()

    problems = [compile_('#include <usock/usock.h>\n', language, flags, compilers)
                for language in LANGUAGES]
    problems.append(problems_of_flat(next(h for h in headers if h.name == 'usock.h'), compilers))
    for header in headers:
        problems += problems_of(header, umbrella, flags, compilers)
    problems = [problem for problem in problems if problem]
    print('\n'.join(problems) or f'{len(headers)} headers compile')
    sys.exit(bool(problems))


main()
