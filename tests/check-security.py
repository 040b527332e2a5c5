# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Each promise of SECURITY.md, and each row of doc/torture.md, names tests that there are.

check-security.py ROOT
"""

import pathlib
import re
import sys

PREFIX = re.compile(r'"(/[\w/-]+/)" \w+')
ADDED = re.compile(r'\badd\w* \("([\w/-]+)"')
WHOLE = re.compile(r'"(/(?:usock|torture|kernel)/[\w/-]+)"')


def names_in(path):
    text = path.read_text(encoding='utf-8')
    names = set(WHOLE.findall(text))
    for prefix in PREFIX.findall(text):
        names |= {prefix + name for name in ADDED.findall(text)}
    return names


def kernel_facts(root):
    for path in (root / 'tests' / 'kernel').glob('*.c'):
        facts = re.findall(r'^  \{ "([\w-]+)",', path.read_text(encoding='utf-8'), re.MULTILINE)
        yield from (f'/kernel/{path.stem}/{fact}' for fact in facts)


# Where the others are, by how their names begin.
OTHERS = {
    'python': lambda root, name: root / 'tests' / 'python' / f'test_{name.replace("-", "_")}.py',
    'gjs': lambda root, name: root / 'tests' / 'gjs' / f'test-{name}.js',
    'fuzz': lambda root, name: root / 'tests' / 'fuzz' / f'fuzz-{name}.c',
}


def exists(root, names, name):
    kind, _, rest = name.partition('-')
    if name.startswith('tests/run '):
        return f' {name.split()[1]} ' in (root / 'tests' / 'run').read_text(encoding='utf-8')
    if kind in OTHERS:
        return OTHERS[kind](root, rest).exists()
    return name in names


def problems_of_rows(root, names):
    rows = re.findall(r'^\| (T\d+) \| (.*) \| (.*) \|$',
                      (root / 'doc' / 'torture.md').read_text(encoding='utf-8'), re.MULTILINE)
    assert len(rows) > 50, 'the table was not found'
    for number, _, tests in rows:
        named = re.findall(r'`([^`]+)`', tests)
        if not named:
            yield f'{number} names no test'
        yield from (f'{number}: there is no test {name}' for name in named
                    if not exists(root, names, name))


def main():
    root = pathlib.Path(sys.argv[1])
    names = set().union(*(names_in(path) for path in (root / 'tests').rglob('test-*.c')))
    names |= set(kernel_facts(root))
    text = (root / 'SECURITY.md').read_text(encoding='utf-8').split('## What is promised')[1]
    promises = re.findall(r'^- (.*?)(?=^- |^#|\Z)', text, re.MULTILINE | re.DOTALL)
    problems = []
    for promise in promises:
        named = re.findall(r'`(/[\w/-]+)`', promise)
        if not named:
            problems.append(f'“{promise.split(":")[0].strip()}” names no test')
        problems += [f'there is no test {name}' for name in named if name not in names]
    problems += problems_of_rows(root, names)
    assert len(promises) > 10 and len(names) > 500, 'something was not found'
    print('\n'.join(problems) or f'{len(promises)} promises are proved')
    sys.exit(bool(problems))


main()
