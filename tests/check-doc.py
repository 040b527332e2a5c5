#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the chapters of the reference show is right: check-doc.py [--vapidir DIRECTORY] CC CHAPTER...

C and Vala are compiled, also where they stand in comments of sources, Python and JavaScript parsed,
and names of the library that they use are looked up. A block that asserts something, which in
JavaScript throws, is run and has to end, as is all that is in Lua and Perl. Shell scripts are
parsed, and units, JSON and build files read."""

import argparse
import ast
import collections
import concurrent.futures
import configparser
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

DEADLINE = 60
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
FLAGS = ['-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter']

# What every chapter but the first leaves out.
PYTHON = """\
import errno, gi, os
gi.require_version('Usock', '1')
from gi.repository import Gio, GLib, Usock
"""
JAVASCRIPT = """\
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';
"""
LUA = """\
local lgi = require 'lgi'
local Gio, GLib = lgi.Gio, lgi.GLib
local Usock = lgi.require('Usock', '1')
"""
PERL = """\
use strict;
use warnings;
use Glib;
use Glib::Object::Introspection;
Glib::Object::Introspection->setup(basename => 'Gio', version => '2.0', package => 'Glib::IO');
Glib::Object::Introspection->setup(basename => 'Usock', version => '1', package => 'Usock');
"""
C_STATEMENTS = """\
#include <unistd.h>
#include <usock/usock.h>

void statements (GError *error);

void
statements (GError *error)
{{
{}
}}
"""
C_MAIN = """
int
main (void)
{
  statements (NULL);
  return 0;
}
"""
VALA_STATEMENTS = """\
async void statements () throws Error {{
{}
}}

void main () {{
    var loop = new MainLoop ();
    statements.begin ((source, result) => {{
        try {{
            statements.end (result);
        }} catch (Error e) {{
            error (e.message);
        }}
        loop.quit ();
    }});
    loop.run ();
}}
"""

# What the comments of the sources leave out.
C_NAMES = {
    'channel': 'extern UsockChannel *channel;',
    'connected': 'void connected (UsockClient *, UsockChannel *, gpointer);',
    'connection_cb': 'void connection_cb (UsockServer *, UsockChannel *, gpointer);',
    'error': 'extern GError *error;',
    'guest': 'extern UsockGuest *guest;',
    'line_received': 'void line_received (GObject *, GAsyncResult *, gpointer);',
    'path': 'extern const char *path;',
    'running': 'extern gboolean running;',
    'serve': 'void serve (GIOStream *);',
}
COMMENT_BLOCK = re.compile(r'^ \* ```c\n((?: \*.*\n)*?) \* ```$', re.MULTILINE)
C_COMMENT = """\
#pragma GCC diagnostic ignored "-Wunused-function"
#include <poll.h>
#include <usock/usock.h>

{names}

{functions}
void statements (void);

void
statements (void)
{{
{statements}
}}
"""

Block = collections.namedtuple('Block', 'chapter line language source')
Tools = collections.namedtuple('Tools', 'compiler flags vapidir')


def run(*command, **options):
    subprocess.run(command, timeout=DEADLINE, check=True, **options)


def check_c(source, tools):
    is_run = 'g_assert' in source
    if not re.search('^{', source, re.MULTILINE):
        source = C_STATEMENTS.format(source) + (C_MAIN if is_run else '')
    target = ['-o', 'program'] if is_run else ['-c', '-o', 'program.o']
    # clang complains of libraries where nothing is linked.
    flags = [flag for flag in tools.flags if is_run or not flag.startswith(('-l', '-L', '-Wl,'))]
    with open('program.c', 'w', encoding='utf-8') as file:
        file.write(source)
    run(*tools.compiler, *FLAGS, 'program.c', *target, *flags)
    if is_run:
        run('./program')
    return is_run


def check_comment(source, tools):
    functions, statements = re.fullmatch(r'(.*^\}\n)?(.*)', source,
                                         re.MULTILINE | re.DOTALL).groups('')
    names = '\n'.join(declaration for name, declaration in C_NAMES.items()
                      if not re.search(rf'^{name} \(', functions, re.MULTILINE))
    return check_c(C_COMMENT.format(names=names, functions=functions, statements=statements), tools)


def check_vala(source, tools):
    if tools.vapidir is None or shutil.which('valac') is None:
        return False
    if not re.search(r'^(async )?\w+ \w+ \(.*\{$', source, re.MULTILINE):
        source = VALA_STATEMENTS.format(source)
    with open('program.vala', 'w', encoding='utf-8') as file:
        file.write(source)
    is_run = 'assert (' in source
    # What the vapi needs stands in a file that is there where it is installed.
    command = ['valac', '--vapidir', tools.vapidir, '--pkg', 'gio-2.0', '--pkg', 'usock-1',
               'program.vala']
    # What valac writes is not ours to judge.
    run(*command, *(['-X', '-w', '-o', 'program'] if is_run else ['--ccode']))
    if is_run:
        run('./program')
    return is_run


@functools.lru_cache(None)
def library():
    import gi
    gi.require_version('Usock', '1')
    from gi.repository import Usock
    return Usock


def check_names(tree):
    """What is written as Usock.Name, and one further, is there."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        names, value = [node.attr], node.value
        while isinstance(value, ast.Attribute):
            names.insert(0, value.attr)
            value = value.value
        if isinstance(value, ast.Name) and value.id == 'Usock':
            functools.reduce(getattr, names, library())


def check_python(source, _tools):
    is_run = 'assert ' in source
    if 'import gi' not in source:
        source = PYTHON + source
    check_names(ast.parse(source))
    if is_run:
        run(sys.executable, '-c', source)
    return is_run


def check_javascript(source, _tools):
    if shutil.which('gjs') is None:
        return False
    is_run = 'throw ' in source
    if "from 'gi://Usock" not in source:
        source = JAVASCRIPT + source
    if not is_run:
        # Parsed as part of a function that nobody calls; imports stand outside of it.
        imports = re.findall(r'^import .*?;$', source, re.MULTILINE)
        rest = re.sub(r'^import .*?;$', '', source, flags=re.MULTILINE)
        source = '\n'.join([*imports, 'async function program() {', rest, '}', 'void program;'])
    with open('program.js', 'w', encoding='utf-8') as file:
        file.write(source)
    run('gjs', '-m', 'program.js')
    return is_run


@functools.lru_cache(None)
def interpreter(names, *attempt):
    """The first that can do what is attempted, if there is any."""
    for name in filter(shutil.which, names):
        if subprocess.run([name, *attempt], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return name
    return None


def check_lua(source, _tools):
    lua = interpreter(('lua5.3', 'luajit', 'lua'), '-e', 'require "lgi"')
    if lua is not None:
        run(lua, '-e', source if 'require' in source else LUA + source)
    return lua is not None


def check_perl(source, _tools):
    perl = interpreter(('perl',), '-MGlib::Object::Introspection', '-e', '1')
    if perl is not None:
        run(perl, '-e', source if 'use Glib' in source else PERL + source)
    return perl is not None


def check_shell(source, _tools):
    run('sh', '-n', '-c', source)
    return False


def check_unit(source, _tools):
    parser = configparser.RawConfigParser(strict=False, delimiters=('=',))
    parser.optionxform = str
    parser.read_string(source)
    for section in parser.sections():
        assert section in ('Unit', 'Service', 'Socket', 'Install'), section
        for name in parser[section]:
            assert re.fullmatch('[A-Z][A-Za-z]+', name), name
    return False


def check_json(source, _tools):
    json.loads(source)
    return False


def check_meson(source, _tools):
    with open('meson.build', 'w', encoding='utf-8') as file:
        file.write("project('example', 'c')\n" + source)
    run('meson', 'introspect', '--projectinfo', 'meson.build', stdout=subprocess.DEVNULL)
    return False


def check_nothing(_source, _tools):
    return False


LANGUAGES = {
    'c': check_c, 'comment': check_comment, 'vala': check_vala, 'python': check_python, 'js': check_javascript,
    'lua': check_lua, 'perl': check_perl,
    'sh': check_shell, 'ini': check_unit, 'json': check_json, 'meson': check_meson,
    # Sessions are run by tests/tool/examples.py; the others are what is printed, and code of what
    # programs leave behind.
    'console': check_nothing, 'text': check_nothing, 'node': check_nothing, 'ucode': check_nothing,
}


def read_blocks(path):
    with open(path, encoding='utf-8') as file:
        text = file.read()
    if path.endswith('.c'):
        for match in COMMENT_BLOCK.finditer(text):
            source = re.sub('^ \\* ?', '', match[1], flags=re.MULTILINE)
            yield Block(os.path.basename(path), text.count('\n', 0, match.start()) + 1, 'comment',
                        source)
        return
    for match in BLOCK.finditer(text):
        yield Block(os.path.basename(path), text.count('\n', 0, match.start()) + 1, match[1],
                    match[2])


def check_in_place(block, *tools):
    """Returns whether it was run, or what is wrong. Every block has a directory of its own."""
    with tempfile.TemporaryDirectory(prefix='usock-') as directory:
        os.chdir(directory)
        try:
            return bool(LANGUAGES[block.language](block.source, Tools(*tools))), None
        except subprocess.CalledProcessError as error:
            return False, f'{os.path.basename(error.cmd[0])} failed with {error.returncode}'
        except (subprocess.TimeoutExpired, AssertionError, AttributeError, ImportError, KeyError,
                SyntaxError, ValueError, configparser.Error) as error:
            return False, f'{type(error).__name__}: {error}'
        finally:
            os.chdir('/')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--vapidir')
    parser.add_argument('--only', help='those of one chapter')
    parser.add_argument('compiler')
    parser.add_argument('chapters', nargs='+', help='Markdown, or C with comments')
    arguments = parser.parse_args()
    flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'usock-1'], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    tools = Tools(shlex.split(arguments.compiler), flags, arguments.vapidir)
    blocks = [block for chapter in arguments.chapters for block in read_blocks(chapter)
              if arguments.only in (None, block.chapter)]
    n_run, n_wrong = 0, 0
    with concurrent.futures.ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(check_in_place, block, *tools) for block in blocks]
        for block, future in zip(blocks, futures):
            is_run, problem = future.result()
            n_run += is_run
            n_wrong += problem is not None
            print(f'{block.chapter}:{block.line} {block.language}', problem or '', flush=True)
    print(f'{len(blocks)} blocks, of which {n_run} were run; {n_wrong} are wrong')
    assert n_run > 0 or arguments.only, 'nothing was run'
    sys.exit(n_wrong != 0)


if __name__ == '__main__':
    main()
