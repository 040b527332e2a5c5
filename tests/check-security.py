# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Each promise of SECURITY.md names tests that there are: check-security.py ROOT"""

import pathlib
import re
import sys

PREFIX = re.compile(r'#define add\(\w+, \w+\) \\?\s*\w+ \("(/[\w/-]*)" \w+')
ADDED = re.compile(r'\badd \("([\w/-]+)"')
WHOLE = re.compile(r'"(/(?:usock|torture)/[\w/-]+)"')


def names_in(path):
    text = path.read_text(encoding='utf-8')
    names = set(WHOLE.findall(text))
    prefix = PREFIX.search(text)
    if prefix:
        names |= {prefix[1] + name for name in ADDED.findall(text)}
    return names


def main():
    root = pathlib.Path(sys.argv[1])
    names = set().union(*(names_in(path) for path in (root / 'tests').rglob('test-*.c')))
    text = (root / 'SECURITY.md').read_text(encoding='utf-8').split('## What is promised')[1]
    promises = re.findall(r'^- (.*?)(?=^- |^#|\Z)', text, re.MULTILINE | re.DOTALL)
    problems = []
    for promise in promises:
        named = re.findall(r'`(/[\w/-]+)`', promise)
        if not named:
            problems.append(f'“{promise.split(":")[0].strip()}” names no test')
        problems += [f'there is no test {name}' for name in named if name not in names]
    assert len(promises) > 10 and len(names) > 500, 'something was not found'
    print('\n'.join(problems) or f'{len(promises)} promises are proved')
    sys.exit(bool(problems))


main()
