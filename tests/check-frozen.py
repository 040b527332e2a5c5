#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The API and the ABI are what they were: check-frozen.py GIR LIBRARY CC SOURCE-ROOT HEADER...

The API is compared as the text in tests/frozen/Usock-1.api, a line for each thing that a program
can use, made from the GIR; nothing in it depends on which g-ir-scanner wrote that. The ABI is
compared by abidiff with a dump that holds for one machine and one compiler. The symbols of the
Debian package are those of the library, each with the version that it came with.

  --update  adds to all what is new; what was removed or changed still fails: ninja freeze
  --thaw    writes all as they are now, for what no program has seen yet: ninja thaw
"""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

CORE = '{http://www.gtk.org/introspection/core/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'

ABIDW = ['--exported-interfaces-only', '--no-show-locs', '--no-corpus-path',
         '--no-comp-dir-path', '--no-elf-needed', '--drop-private-types', '--type-id-style', 'hash']
# What abidiff returns when it could not compare.
FAILED = 1 | 2

CALLABLES = {'constructor': 'constructor', 'function': 'function', 'method': 'method',
             'virtual-method': 'vfunc', 'callback': 'callback'}
TYPES = ('class', 'interface', 'record', 'union', 'enumeration', 'bitfield', 'alias')
# Of these nobody can own one, whatever a scanner says.
NEVER_OWNED = {'none', 'gpointer', 'gboolean', 'gint', 'guint', 'gint64', 'guint64', 'gsize',
               'gssize', 'GType'}

SYMBOLS = 'doc/packages/debian/libusock-1-1.symbols'
SYMBOLS_HEAD = """\
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
# Written by tests/check-frozen.py.
libusock-1.so.1 libusock-1-1 #MINVER#
* Build-Depends-Package: libusock-1-dev
"""


def is_set(element, name, default='0'):
    return element.get(name, default) == '1'


def type_text(element):
    """As it is to be read: what an array is made of, and what says how long it is."""
    array = element.find(CORE + 'array')
    if array is not None:
        name = array.get('name', 'array')
        ends = [key for key, default in (('zero-terminated', '1'), ('fixed-size', '0'))
                if name == 'array' and array.get('length') is None and array.get(key, default) != '0']
        return f'{name}<{type_text(array)}>' + ''.join(f' {key}' for key in ends)
    found = element.find(CORE + 'type')
    if found is None:
        return '...' if element.find(CORE + 'varargs') is not None else element.get('name', 'none')
    inner = f'<{type_text(found)}>' if found.find(CORE + 'type') is not None else ''
    return found.get('name', 'none') + inner


def value_text(element):
    """A parameter, or what is returned."""
    words = [type_text(element)]
    if element.get('direction', 'in') != 'in':
        words.insert(0, element.get('direction'))
    # Of the data of a callback each scanner says something else.
    if is_set(element, 'nullable') and words[-1] != 'gpointer':
        words.append('nullable')
    if is_set(element, 'optional'):
        words.append('optional')
    if is_set(element, 'caller-allocates'):
        words.append('caller-allocates')
    if element.get('scope'):
        words.append(f'scope={element.get("scope")}')
    if element.find(CORE + 'array') is not None or type_text(element) not in NEVER_OWNED:
        words.append(f'transfer={element.get("transfer-ownership", "none")}')
    return ' '.join(words)


def lengths(callable_):
    """Which parameters tell how long an array is, by their number."""
    arrays = [array for array in callable_.iter(CORE + 'array') if array.get('length') is not None]
    return {int(array.get('length')) for array in arrays}


def callable_text(callable_):
    sizes = lengths(callable_)
    parameters = []
    for number, parameter in enumerate(callable_.findall(f'{CORE}parameters/{CORE}parameter')):
        size = ' length' if number in sizes else ''
        parameters.append(f'{parameter.get("name")}: {value_text(parameter)}{size}')
    ending = ' throws' if is_set(callable_, 'throws') else ''
    if callable_.get('introspectable') == '0':
        ending += ' not-introspectable'
    returned = callable_.find(CORE + 'return-value')
    return f'({", ".join(parameters)}) -> {value_text(returned)}{ending}'


def property_text(property_):
    words = [type_text(property_)]
    words += [word for word, default in (('readable', '1'), ('writable', '0'), ('construct', '0'),
                                         ('construct-only', '0'))
              if is_set(property_, word, default)]
    return ' '.join(words)


def signal_text(signal):
    words = [word for word in ('detailed', 'action', 'no-hooks', 'no-recurse')
             if is_set(signal, word)]
    return ' '.join([callable_text(signal), f'run-{signal.get("when", "last")}', *words])


def member_lines(owner, element):
    prefix = f'{owner}.' if owner else ''
    for tag, word in CALLABLES.items():
        for child in element.findall(CORE + tag):
            symbol = child.get(C + 'identifier')
            yield f'{word} {prefix}{child.get("name")}{callable_text(child)}' + (
                f' = {symbol}' if symbol else '')
    for child in element.findall(CORE + 'property'):
        yield f'property {owner}:{child.get("name")}: {property_text(child)}'
    for child in element.findall(GLIB + 'signal'):
        yield f'signal {owner}::{child.get("name")}{signal_text(child)}'
    for child in element.findall(CORE + 'field'):
        if not is_set(child, 'private'):
            yield f'field {owner}.{child.get("name")}: {type_text(child)}'
    for child in element.findall(CORE + 'member'):
        yield (f'member {owner}.{child.get("name")} = {child.get("value")} '
               f'{child.get(C + "identifier")} {child.get(GLIB + "nick", child.get("name"))}')
    for child in element.findall(CORE + 'constant'):
        yield (f'constant {prefix}{child.get("name")}: {type_text(child)} = {child.get("value")} '
               f'{child.get(C + "type", "")}')


def type_line(tag, element):
    words = [tag, element.get('name')]
    if element.get('parent'):
        words += [':', element.get('parent')]
    words += [f'implements {child.get("name")}' for child in element.findall(CORE + 'implements')]
    words += [word for word in ('abstract',) if is_set(element, word)]
    words += [f'{name}={element.get(GLIB + name)}' for name in ('error-domain', 'get-type')
              if element.get(GLIB + name)]
    return ' '.join(words)


def api_of(gir):
    namespace = ElementTree.parse(gir).find(CORE + 'namespace')
    lines = [f'namespace {namespace.get("name")} {namespace.get("version")}',
             *member_lines('', namespace)]
    for tag in TYPES:
        for element in namespace.findall(CORE + tag):
            if element.get(GLIB + 'is-gtype-struct-for') is None:
                lines += [type_line(tag, element), *member_lines(element.get('name'), element)]
    return sorted(set(lines))


def compare_api(frozen, now):
    problems = [f'removed or changed: {line}' for line in sorted(set(frozen) - set(now))]
    news = [f'new, and not frozen yet: {line}' for line in sorted(set(now) - set(frozen))]
    return problems, news


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **options)


def kind_of_build(library, compiler):
    """What a dump holds for, or why there is none: (name, reason)."""
    if shutil.which('abidw') is None or shutil.which('abidiff') is None:
        return None, 'there is no abidw'
    version = run(*compiler, '--version').stdout.partition('\n')[0]
    name = 'clang' if 'clang' in version else 'gcc'
    major = run(*compiler, '-dumpversion').stdout.partition('.')[0].strip()
    sections = run('readelf', '--section-headers', '--wide', library).stdout
    if '.debug_info' not in sections:
        return None, 'the library has no debug information'
    if '__asan_init' in run('nm', '-D', library).stdout:
        return None, 'the library is sanitized'
    machine = run(*compiler, '-dumpmachine').stdout.partition('-')[0]
    return f'{machine}-{name}-{major}', None


def public_headers(headers, directory):
    for header in headers:
        shutil.copy(header, directory)
    return directory


def dump_abi(library, headers, output):
    with tempfile.TemporaryDirectory() as directory:
        done = run('abidw', *ABIDW, '--headers-dir', public_headers(headers, directory),
                   '--out-file', output, library)
    if done.returncode:
        raise SystemExit(f'abidw failed: {done.stdout}{done.stderr}')


def compare_abi(library, headers, dump):
    """Returns what no old program can live with, and what is new."""
    with tempfile.TemporaryDirectory() as directory:
        now = pathlib.Path(directory) / 'now.abi'
        dump_abi(library, headers, now)
        done = run('abidiff', '--no-show-locs', dump, now)
    if done.returncode & FAILED:
        return [f'abidiff failed: {done.stdout}{done.stderr}'], []
    if done.returncode == 0:
        return [], []
    broken = re.search(r'\b[1-9]\d* (Removed|Changed)', done.stdout)
    return ([done.stdout], []) if broken else ([], [done.stdout])


def check_api(gir, directory, switch):
    path = directory / 'Usock-1.api'
    now = api_of(gir)
    frozen = path.read_text(encoding='utf-8').splitlines() if path.exists() else []
    frozen = [line for line in frozen if not line.startswith('#')]
    problems, news = compare_api(frozen, now)
    if switch == '--thaw' or switch == '--update' and not problems:
        head = '# The API of usock, as tests/check-frozen.py writes it.\n'
        licence = ('# SPDX-FileCopyrightText: 2026 The usock developers\n'
                   '# SPDX-' 'License-Identifier: LGPL-2.1-or-later\n')
        path.write_text(licence + head + '\n'.join(now) + '\n', encoding='utf-8')
        problems = news = []
    print(f'API: {len(now)} lines')
    return problems + (news if switch is None else [])


def check_abi(library, compiler, headers, directory, switch):
    name, reason = kind_of_build(library, compiler)
    if name is None:
        print(f'ABI: not compared, because {reason}')
        return []
    dump = directory / f'libusock-1-{name}.abi'
    others = [other.name for other in directory.glob('*.abi')]
    if not dump.exists() and switch != '--thaw':
        print(f'ABI: not compared; there is a dump for {", ".join(others)}, and none for {name}')
        return []
    problems, news = compare_abi(library, headers, dump) if dump.exists() else ([], ['new'])
    if switch == '--thaw' or switch == '--update' and news and not problems:
        dump_abi(library, headers, dump)
        problems = news = []
    print(f'ABI: compared for {name}')
    return problems + (news if switch is None else [])


def version_of(gir):
    constants = ElementTree.parse(gir).iter(CORE + 'constant')
    return next(constant.get('value') for constant in constants if constant.get('name') == 'VERSION_S')


def check_symbols(gir, library, path, switch):
    """Debian's tools would find the same, but only when a package is built."""
    if not path.parent.exists():
        return []
    now = set(re.findall(r' [A-Z] ([a-z]\w+)$', run('nm', '-D', '--defined-only', library).stdout,
                         re.MULTILINE))
    text = path.read_text(encoding='utf-8') if path.exists() else ''
    listed = dict(re.findall(r'^ (\w+)@Base (\S+)$', text, re.MULTILINE))
    problems = [f'{name} is in {SYMBOLS} only' for name in sorted(listed.keys() - now)]
    news = [f'{name} is not in {SYMBOLS}' for name in sorted(now - listed.keys())]
    if switch == '--thaw' or switch == '--update' and not problems:
        version = version_of(gir)
        lines = [f' {name}@Base {listed.get(name, version)}\n' for name in sorted(now)]
        path.write_text(SYMBOLS_HEAD + ''.join(lines), encoding='utf-8')
        problems = news = []
    print(f'Symbols: {len(now)}')
    return problems + (news if switch is None else [])


def main():
    switches = [word for word in sys.argv[1:] if word.startswith('--')]
    gir, library, compiler, root, *headers = [word for word in sys.argv[1:] if word not in switches]
    switch = switches[0] if switches else None
    directory = pathlib.Path(root) / 'tests/frozen'
    problems = check_api(gir, directory, switch)
    problems += check_abi(library, shlex.split(compiler), headers, directory, switch)
    problems += check_symbols(gir, library, pathlib.Path(root) / SYMBOLS, switch)
    print('\n'.join(problems) or 'What was there is there.')
    if problems:
        print('What is new is taken in by `ninja freeze`; see the head of check-frozen.py.')
    sys.exit(bool(problems))


if __name__ == '__main__':
    main()
