#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The types of scripts are whole and right: check-types.py SOURCE-ROOT GIR PYI DTS

Everything that the GIR lists and the overrides have is in them, and nothing else; the examples in
Python pass mypy --strict, and the programs of README.md in JavaScript tsc. No program needs a certain GLib.
Of GLib and the others, for
which somebody else makes types, there is as much as is needed here."""

import ast
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import gi

gi.require_version('Usock', '1')
from gi.repository import GObject, Usock  # noqa: E402

ROOT, GIR, PYI, DTS = (pathlib.Path(each).resolve() for each in sys.argv[1:5])
REPOSITORY = re.compile(r'\b(Gio|GLib|GObject)\.([A-Z]\w*)')
MOVED = re.compile(r'\bGio\.(Unix(InputStream|OutputStream|FDMessage|Mount\w*)|DesktopAppInfo|FileDescriptorBased)\b')

# What the interpreter has for every object, and what is the type's own affair.
EVERYWHERE = set(dir(GObject.Object)) | set(dir(object)) | {'props', 'Props', '__gsignals__'}
SIGNALS = {'connect', 'connect_after'}
# Made to be called by the interpreter, or of the wrapper.
WRAPPED = {'ref', 'unref', 'value_name', 'value_nick', 'copy', 'free'}


def stub_of_repository(name, used):
    head = ('from typing import Any\nfrom gi import Meta\n\ndef __getattr__(name: str) -> Any: ...\n\n')
    classes = ''
    for each in sorted(used):
        base = {'Error': 'Exception, '}.get(each, '')
        classes += (f'class {each}({base}metaclass=Meta):\n'
                    '    def __init__(self, *args: Any, **kwargs: Any) -> None: ...\n'
                    '    def __getattr__(self, name: str) -> Any: ...\n\n')
    return head + classes


def write_stubs(directory, programs):
    repository = directory / 'gi' / 'repository'
    repository.mkdir(parents=True)
    (directory / 'gi' / '__init__.pyi').write_text(
        'from typing import Any\ndef require_version(namespace: str, version: str) -> None: ...\n'
        'class Meta(type):\n    def __getattr__(cls, name: str) -> Any: ...\n')
    (repository / '__init__.pyi').write_text('from typing import Any\ndef __getattr__(name: str) -> Any: ...\n')
    shutil.copy(PYI, repository / 'Usock.pyi')
    text = PYI.read_text() + ''.join(path.read_text() for path in programs)
    for name in ('Gio', 'GLib', 'GObject'):
        used = {each for module, each in REPOSITORY.findall(text) if module == name}
        (repository / f'{name}.pyi').write_text(stub_of_repository(name, used))


def blocks(language):
    return re.findall(rf'^```{language}\n(.*?)^```$', (ROOT / 'README.md').read_text(),
                      re.MULTILINE | re.DOTALL)


def check_moved():
    """Since GLib 2.80 these are found in GioUnix alone, and a GLib before has none."""
    paths = [path for pattern in ('README.md', 'doc/*.md', 'examples/*.js', 'examples/*.py', 'tests/gjs/*.js',
                                  'tests/python/*.py', 'tests/interop/*') for path in ROOT.glob(pattern)
             if path.is_file()]
    problems = [f'{path.relative_to(ROOT)}: {line.strip()}' for path in paths
                for line in path.read_text(errors='replace').splitlines()
                if MOVED.search(line) and not line.lstrip().startswith(('//', '#'))]
    for problem in problems:
        print(f'{problem}: not every GLib has that in Gio')
    print(f'{len(paths)} programs and pages need no certain GLib' if not problems else 'some do not run everywhere')
    return bool(problems)


def check_mypy():
    programs = sorted((ROOT / 'examples').glob('*.py'))
    programs = [path for path in programs if 'from gi.repository' in path.read_text()]
    failed = 0
    with tempfile.TemporaryDirectory(prefix='usock-') as name:
        directory = pathlib.Path(name)
        write_stubs(directory / 'stubs', programs)
        done = subprocess.run(
            ['mypy', '--strict', '--no-error-summary', '--cache-dir', directory / 'cache', '--scripts-are-modules',
             '--python-executable', sys.executable, directory / 'stubs/gi/repository/Usock.pyi', *programs],
            env={'MYPYPATH': str(directory / 'stubs'), 'PATH': '/usr/bin:/bin', 'HOME': name},
            stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, end='')
        failed |= done.returncode != 0
    print(f'{len(programs)} programs pass mypy' if not failed else 'mypy complains')
    return failed


def check_tsc():
    text = DTS.read_text()
    with tempfile.TemporaryDirectory(prefix='usock-') as name:
        directory = pathlib.Path(name)
        shutil.copy(DTS, directory / 'usock-1.d.ts')
        programs = []
        for number, block in enumerate(blocks('js')):
            path = directory / f'readme{number}.mjs'
            path.write_text(block)
            programs.append(path)
        for module in ('Gio', 'GLib', 'GObject'):
            used = sorted({each for other, each in REPOSITORY.findall(text + ''.join(blocks('js')))
                           if other == module})
            (directory / f'{module}.d.ts').write_text(
                f"declare module 'gi://{module}' {{\nnamespace {module} {{\n"
                + ''.join(f'class {each} {{ constructor(...args: any[]); [key: string]: any; '
                          f'static [key: string]: any }}\n' for each in used)
                + f'}}\nexport default {module};\n}}\n')
        (directory / 'gjs.d.ts').write_text(
            'declare function print(...args: any[]): void;\ndeclare function printerr(...args: any[]): void;\n'
            'declare const ARGV: string[];\n'
            'declare class TextDecoder { decode(data: any): string }\n'
            'declare class TextEncoder { encode(text: string): Uint8Array }\n')
        done = subprocess.run(
            ['tsc', '--strict', '--noEmit', '--allowJs', '--checkJs', '--target', 'es2022', '--module', 'es2022',
             '--lib', 'es2022', '--typeRoots', directory, *directory.glob('*.d.ts'), *programs],
            stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, end='')
    print(f'{len(programs)} programs pass tsc' if not done.returncode else 'tsc complains')
    return done.returncode != 0


def stubbed():
    """The names in the stub, by class; those of the module under None."""
    found = {None: set()}
    for node in ast.parse(PYI.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found[None].add(node.name)
            names = found[node.name] = set()
            for each in node.body:
                if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    names.add(each.name)
                elif isinstance(each, ast.AnnAssign):
                    names.add(each.target.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found[None].add(node.name)
        elif isinstance(node, ast.AnnAssign):
            found[None].add(node.target.id)
    return {owner: {name for name in names if owner is not None or not name.startswith('_')}
            for owner, names in found.items()}


def names_of(cls):
    """What a class has that those above it do not have as well."""
    names = set()
    for each in cls.__mro__:
        if not each.__gtype__.name.startswith('Usock') if hasattr(each, '__gtype__') else True:
            break
        if each is not cls and each.__name__ in dir(Usock) and each.__name__ != cls.__name__:
            break
        names |= set(vars(each))
    return names


def check_complete():
    stub, problems = stubbed(), []
    for name in dir(Usock):
        value = getattr(Usock, name)
        if name.startswith('_') or name.endswith(('Class', 'Func', 'Handler')):
            continue
        if name not in stub[None]:
            problems.append(f'the stub has no {name}')
        elif isinstance(value, type) and issubclass(value, (GObject.Object, GObject.GBoxed)):
            problems += check_class(name, value, stub)
    problems += [f'the stub has {name}, which there is not' for name in sorted(stub[None])
                 if not hasattr(Usock, name)]
    return problems


def check_class(name, cls, stub):
    inherited = set()
    for each in cls.__mro__[1:]:
        inherited |= stub.get(each.__name__, set())
    for each in sorted(names_of(cls) - stub[name] - EVERYWHERE - WRAPPED):
        if not each.startswith(('_', 'do_')) and each not in inherited | {'parent_instance'}:
            yield f'the stub of {name} has no {each}'
    for each in sorted(stub[name]):
        if not hasattr(cls, each):
            yield f'the stub of {name} has {each}, which there is not'


def check_gir():
    """What is not to be seen on a class: properties, signals, and what GJS has not looked up yet."""
    import xml.etree.ElementTree as ElementTree
    core, glib = '{http://www.gtk.org/introspection/core/1.0}', '{http://www.gtk.org/introspection/glib/1.0}'
    texts = {PYI.name: PYI.read_text(), DTS.name: DTS.read_text()}
    namespace = ElementTree.parse(GIR).getroot().find(core + 'namespace')
    for cls in [*namespace.findall(core + 'class'), *namespace.findall(core + 'record')]:
        if cls.get(glib + 'get-type') is None:
            continue
        parts = {PYI.name: re.search(rf"^class {cls.get('name')}\b.*?(?=^class |\Z)", texts[PYI.name], re.M | re.S),
                 DTS.name: re.search(rf"^class {cls.get('name')} .*?^}}", texts[DTS.name], re.M | re.S)}
        for file, match in parts.items():
            if match is None:
                yield f"{file} has no {cls.get('name')}"
                continue
            calls = [each.get('name') for kind in ('constructor', 'function', 'method')
                     for each in cls.findall(core + kind)
                     if each.get('introspectable') != '0' and each.get('moved-to') is None]
            for each in calls:
                if each not in WRAPPED and not re.search(rf'\b{each}\(', match[0]):
                    yield f"{file}: {cls.get('name')} has no {each}"
            for each in cls.findall(core + 'property'):
                if not re.search(rf"\b{each.get('name').replace('-', '_')}\b", match[0]):
                    yield f"{file}: {cls.get('name')} has no property {each.get('name')}"
            for each in cls.findall(glib + 'signal'):
                if f"'{each.get('name')}'" not in match[0]:
                    yield f"{file}: {cls.get('name')} has no signal {each.get('name')}"


SHOW = '''
const {Usock} = imports.gi;
const {Gio} = imports.gi;
const borrowed = [Gio.ListModel, Gio.SocketConnectable].flatMap(each => Object.getOwnPropertyNames(each.prototype));
for (const name of ARGV) {
    const type = Usock[name];
    const own = new Set([...Object.getOwnPropertyNames(type.prototype), ...Object.getOwnPropertyNames(type)]);
    borrowed.forEach(each => own.delete(each));
    print(name, [...own].join(' '));
}
print('-', Object.getOwnPropertyNames(Usock).join(' '));
'''
JS_OWN = WRAPPED | {'constructor', 'length', 'name', 'prototype', '$gtype', 'toString', '_init', 'arguments', 'caller'}


def declared(text):
    found = {}
    for name, body in re.findall(r'^class (\w+)[^{]*\{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
        found[name] = set(re.findall(r'^    (?:static |readonly )?(\w+)[:(?]', body, re.MULTILINE))
    found['-'] = set(re.findall(r'^(?:class|enum|const|function) (\w+)', text, re.MULTILINE))
    return found


def check_javascript():
    """What the overrides put on the classes is in the types, and the types have nothing else."""
    found = declared(DTS.read_text())
    classes = sorted(name for name in found if name != '-')
    output = subprocess.run(['gjs', '-c', SHOW, *classes], stdout=subprocess.PIPE, text=True, check=True).stdout
    seen = {line.split()[0]: set(line.split()[1:]) for line in output.splitlines()}
    for name in classes:
        for each in sorted(seen[name] - found[name] - JS_OWN):
            if not each.startswith('_') and '-' not in each and each not in SIGNALS | {'emit'}:
                if not any(each in found[other] for other in found):
                    yield f'{DTS.name}: {name} has no {each}'
    reader = ('const {Usock} = imports.gi; const bad = []; for (const pair of ARGV) { '
              'const [type, name] = pair.split("."); const of = Usock[type]; '
              'if (!(name in of.prototype) && !(name in of)) bad.push(pair); } print(bad.join(" "));')
    pairs = [f'{name}.{each}' for name in classes for each in sorted(found[name])]
    output = subprocess.run(['gjs', '-c', reader, *pairs], stdout=subprocess.PIPE, text=True, check=True).stdout
    for pair in output.split():
        yield f'{DTS.name} has {pair}, which there is not'


def main():
    problems = [*check_complete(), *check_gir()]
    if shutil.which('gjs'):
        problems += check_javascript()
    print('\n'.join(problems) or 'the types are complete')
    failed = bool(problems) | check_moved()
    if shutil.which('mypy'):
        failed |= check_mypy()
    if shutil.which('tsc'):
        failed |= check_tsc()
    sys.exit(failed)


main()
