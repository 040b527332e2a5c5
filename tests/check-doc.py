#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the chapters of the reference show is right: check-doc.py CC CHAPTER...

C is compiled and Python parsed. A block that asserts something, which in JavaScript throws, is run and
has to end."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

DEADLINE = 60
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
FLAGS = ['-std=gnu17', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter']

# What every chapter but the first leaves out.
PYTHON = """\
import errno, gi, os
gi.require_version('Usock', '1')
from gi.repository import Gio, GLib, Usock
"""
JAVASCRIPT = """\
import Gio from 'gi://Gio';
import Usock from 'gi://Usock?version=1';
"""
C_STATEMENTS = """\
#include <usock/usock.h>

void statements (GError *error);

void
statements (GError *error)
{{
{}
}}
"""


def check_c(source, compiler, flags):
    if not re.search('^{', source, re.MULTILINE):
        source = C_STATEMENTS.format(source)
    run = 'g_assert' in source
    target = ['-o', 'program'] if run else ['-c', '-o', 'program.o']
    # clang complains of libraries where nothing is linked.
    flags = [flag for flag in flags if run or not flag.startswith(('-l', '-L', '-Wl,'))]
    with open('program.c', 'w', encoding='utf-8') as file:
        file.write(source)
    subprocess.run([*compiler, *FLAGS, 'program.c', *target, *flags], check=True)
    if run:
        subprocess.run(['./program'], timeout=DEADLINE, check=True)
    return run


def check_python(source, chapter):
    run = 'assert ' in source
    if 'import gi' not in source:
        source = PYTHON + source
    compile(source, chapter, 'exec')
    if run:
        subprocess.run([sys.executable, '-c', source], timeout=DEADLINE, check=True)
    return run


def check_javascript(source):
    run = 'throw ' in source and shutil.which('gjs') is not None
    if run:
        with open('program.js', 'w', encoding='utf-8') as file:
            file.write(JAVASCRIPT + source)
        subprocess.run(['gjs', '-m', 'program.js'], timeout=DEADLINE, check=True)
    return run


def main():
    compiler = shlex.split(sys.argv[1])
    chapters = [os.path.abspath(chapter) for chapter in sys.argv[2:]]
    flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'usock-1'], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    n_run = 0
    with tempfile.TemporaryDirectory(prefix='usock-') as directory:
        os.chdir(directory)
        for chapter in chapters:
            with open(chapter, encoding='utf-8') as file:
                text = file.read()
            for language, source in BLOCK.findall(text):
                print(os.path.basename(chapter), language, flush=True)
                if language == 'c':
                    n_run += check_c(source, compiler, flags)
                elif language == 'python':
                    n_run += check_python(source, chapter)
                elif language == 'js':
                    n_run += check_javascript(source)
    assert n_run > 0, 'nothing was run'


main()
