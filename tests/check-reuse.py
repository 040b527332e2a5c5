#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Each file says whose it is, and under which licence: check-reuse.py SOURCE-ROOT

It says so at its head, or .reuse/dep5 does for those that cannot. Where reuse is installed, it has to
find the same; it looks for the text of the licence in a folder of its own, people do in COPYING."""

import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Put together here, lest they be taken for what this file says itself.
COPYRIGHT = re.compile(rb'SPDX-%b: \d{4} \w' % b'FileCopyrightText')
LICENCE = re.compile(rb'SPDX-%b: ([\w.+-]+)' % b'License-Identifier')
ONLY = 'LGPL-2.1-or-later'
TEXTS = ('COPYING', f'LICENSES/{ONLY}.txt')
HEAD = 1024
# What nobody wrote: see .gitignore.
NOT_OURS = ('.git', 'build*', '_build*', 'debian', 'node_modules', '__pycache__', '*.pyc', '*~')


def is_ours(name):
    return not any(fnmatch.fnmatchcase(name, pattern) for pattern in NOT_OURS)


def files_of(root):
    """Those of git, where it is one of its trees; else those that are there."""
    if (root / '.git').exists() and shutil.which('git'):
        listed = subprocess.run(
            ['git', '-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        return sorted(name for name in filter(None, listed.split('\0')) if (root / name).is_file())
    found = []
    for folder, folders, names in os.walk(root):
        # A folder of the packaging is called as the one that is made of it.
        at_top = pathlib.Path(folder) == root
        folders[:] = [name for name in folders if is_ours(name) or name == 'debian' and not at_top]
        found += [str((pathlib.Path(folder) / name).relative_to(root)) for name in filter(is_ours, names)]
    return sorted(found)


def covered(root):
    """The patterns of .reuse/dep5."""
    text = (root / '.reuse/dep5').read_text(encoding='utf-8')
    return [pattern for line in re.findall(r'^Files: (.*)$', text, re.MULTILINE)
            for pattern in line.split()]


def problem_of(path, is_covered):
    head = path.read_bytes()[:HEAD]
    licences = {licence.decode() for licence in LICENCE.findall(head)}
    says = bool(COPYRIGHT.search(head) and licences)
    if says == is_covered:
        return 'says it, and so does .reuse/dep5' if says else 'does not say whose it is'
    return None if is_covered or licences == {ONLY} else f'is under {licences}'


def own_problems(root, files):
    patterns = covered(root)
    for name in files:
        # Neither is a work of its own.
        if name in TEXTS or name == '.reuse/dep5':
            continue
        is_covered = any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        problem = problem_of(root / name, is_covered)
        if problem:
            yield f'{name} {problem}'
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in files):
            yield f'.reuse/dep5: there is no {pattern}'
    if len({(root / name).read_bytes() for name in TEXTS}) > 1:
        yield ' and '.join(TEXTS) + ' differ'


def reuse_problems(root, files):
    with tempfile.TemporaryDirectory(prefix='usock-') as directory:
        copy = pathlib.Path(directory)
        for name in files:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, copy / name)
        done = subprocess.run(['reuse', '--root', copy, 'lint'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    return [done.stdout] if done.returncode else []


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    files = files_of(root)
    assert len(files) > 100, files
    problems = list(own_problems(root, files))
    if shutil.which('reuse'):
        problems += reuse_problems(root, files)
    print('\n'.join(problems) or f'{len(files)} files are in order')
    sys.exit(bool(problems))


main()
