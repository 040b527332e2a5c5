#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""POTFILES lists what is translated, LINGUAS the languages, and each translates all of it.

check-po.py SOURCE-ROOT
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

MARKED = re.compile(r'\b(?:_|N_|P_|Q_|C_|ngettext) ?\("')
MACRO = re.compile(MARKED.pattern + r'(?:[^"\\]|\\.|"[\s,]*")*"\s*(G_\w+_FORMAT)')
FIELD = re.compile(r'^(msgid|msgid_plural|msgstr(?:\[\d\])?) "(.*)"$', re.MULTILINE)
EDGES = re.compile(r'^\s*|\s*$')


def entries(path):
    return [line for line in path.read_text().splitlines() if line and not line.startswith('#')]


def run(*command, **options):
    """Returns what was printed, and what was complained of if the command failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env={**os.environ, 'LC_ALL': 'C'}, **options)
    return done.stdout, done.stderr if done.returncode else ''


def fields(text):
    """Returns the fields of each entry, a string in one piece, its escapes as they are."""
    text = '\n'.join(line for line in text.splitlines() if not line.startswith('#'))
    return [dict(FIELD.findall(entry.replace('"\n"', '')))
            for entry in re.split(r'\n{2,}', text.strip())]


def header(text, name):
    found = re.search(rf'{name}: (.*?)\\n', fields(text)[0]['msgstr'])
    return found[1] if found else ''


def edges(text):
    return EDGES.findall(text.replace('\\n', '\n').replace('\\t', '\t'))


def check_sources(root):
    listed = entries(root / 'po/POTFILES')
    marked = [str(path.relative_to(root)) for path in sorted(root.glob('usock/*/*.c'))
              if MARKED.search(path.read_text())]
    yield from (f'{name} is not in POTFILES' for name in marked if name not in listed)
    yield from (f'{name} is in POTFILES for nothing' for name in listed if name not in marked)
    if listed != sorted(listed):
        yield 'POTFILES is not in order'

    # xgettext takes the string to end at the macro, and so would never find it again.
    yield from (f'{name} translates a string with {macro} in it' for name in marked
                for macro in MACRO.findall((root / name).read_text()))


def check_languages(root):
    listed = entries(root / 'po/LINGUAS')
    files = [path.stem for path in root.glob('po/*.po')]
    yield from (f'{name} is not in LINGUAS' for name in files if name not in listed)
    yield from (f'{name} is in LINGUAS, and there is no {name}.po' for name in listed
                if name not in files)
    if listed != sorted(listed):
        yield 'LINGUAS is not in order'


def check_header(text, language, pot):
    if header(text, 'Language') != language:
        yield f'{language}.po is of another language'

    # msginit does not know how every language counts.
    known = header(run('msginit', '--no-translator', '-l', language, '-i', pot, '-o', '-')[0],
                   'Plural-Forms')
    if 'EXPRESSION' not in known and header(text, 'Plural-Forms') != known:
        yield f'{language}.po does not count with {known}'


def check_spaces(text, language):
    for entry in fields(text)[1:]:
        yield from (f'{language}.po: other space around “{entry["msgid"]}”'
                    for name, value in entry.items()
                    if name.startswith('msgstr') and edges(value) != edges(entry['msgid']))


def check_language(po, pot):
    problems = [run('msgfmt', '--check', '-o', '/dev/null', po)[1], run('msgcmp', po, pot)[1]]
    if any(problems):
        return problems

    # What is a format is known from the sources, whatever the file says itself. msgmerge calls a
    # translation fuzzy that has other arguments.
    with tempfile.NamedTemporaryFile(suffix='.po') as merged:
        text, problem = run('msgmerge', '--quiet', '--no-fuzzy-matching', '--no-wrap', po, pot)
        pathlib.Path(merged.name).write_text(text)
        problems = [problem, run('msgfmt', '--check-format', '--use-fuzzy', '-o', '/dev/null', merged.name)[1]]

    problems += [f'{po.name} translates what is no more: {gone}'
                 for gone in re.findall(r'^#~ msgid (.*)$', text, re.MULTILINE)]
    return [*problems, *check_header(text, po.stem, pot), *check_spaces(text, po.stem)]


def main():
    root = pathlib.Path(sys.argv[1])
    problems = [*check_sources(root), *check_languages(root)]

    with tempfile.TemporaryDirectory() as directory:
        pot = f'{directory}/usock-1.pot'
        problems.append(run('xgettext', '--from-code=UTF-8', '-k_', '-kN_', '-kP_:1,2', '-o', pot,
                            *entries(root / 'po/POTFILES'), cwd=root)[1])
        for po in sorted(root.glob('po/*.po')):
            problems += check_language(po, pot)

    problems = [problem for problem in problems if problem]
    print('\n'.join(problems) or f'{len(entries(root / "po/LINGUAS"))} languages are complete')
    sys.exit(bool(problems))


main()
