#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""POTFILES lists what is translated, and each language translates all of it.

check-po.py SOURCE-ROOT
"""

import pathlib
import re
import subprocess
import sys
import tempfile

MARKED = re.compile(r'\b(?:_|N_|Q_|C_|ngettext) ?\("')
MACRO = re.compile(MARKED.pattern + r'(?:[^"\\]|\\.|"\s*")*"\s*(G_\w+_FORMAT)')


def entries(path):
    return [line for line in path.read_text().splitlines() if line and not line.startswith('#')]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    return done.stderr if done.returncode else ''


def main():
    root = pathlib.Path(sys.argv[1])
    listed = entries(root / 'po/POTFILES')
    marked = [str(path.relative_to(root)) for path in sorted(root.glob('usock/*/*.c'))
              if MARKED.search(path.read_text())]
    problems = [f'{name} is not in POTFILES' for name in marked if name not in listed]
    problems += [f'{name} is in POTFILES for nothing' for name in listed if name not in marked]

    # xgettext takes the string to end at the macro, and so would never find it again.
    problems += [f'{name} translates a string with {macro} in it' for name in marked
                 for macro in MACRO.findall((root / name).read_text())]

    with tempfile.TemporaryDirectory() as directory:
        pot = f'{directory}/usock-1.pot'
        problems.append(run('xgettext', '--from-code=UTF-8', '-k_', '-kN_', '-o', pot, *listed,
                            cwd=root))
        for language in entries(root / 'po/LINGUAS'):
            po = root / f'po/{language}.po'
            problems.append(run('msgfmt', '--check', '-o', '/dev/null', po))
            problems.append(run('msgcmp', po, pot))

    problems = [problem for problem in problems if problem]
    print('\n'.join(problems) or f'{len(marked)} files are translated')
    sys.exit(bool(problems))


main()
