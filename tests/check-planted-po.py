#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Plants faults of each kind in small catalogs, and expects check-po.py to find them.

check-planted-po.py
"""

import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name('check-po.py')

SOURCE = 'usock/base/usock-error.c'
CATALOG = 'po/es.po'

CODE = '''_("Could not send to “%s”: %u messages wait")
N_(" (pid %d)")
P_("%zu byte", "%zu bytes", n)
_("Commands:\\n")
'''

PO = '''msgid ""
msgstr ""
"Project-Id-Version: usock 1.0.0\\n"
"PO-Revision-Date: 2026-11-21 05:00+0000\\n"
"Last-Translator: The usock developers\\n"
"Language-Team: Spanish\\n"
"Language: es\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

#, c-format
msgid "Could not send to “%s”: %u messages wait"
msgstr "No se pudo enviar: %2$u mensajes esperan a «%1$s»"

#, c-format
msgid " (pid %d)"
msgstr " (PID %d)"

#, c-format
msgid "%zu byte"
msgid_plural "%zu bytes"
msgstr[0] "%zu byte"
msgstr[1] "%zu bytes"

msgid "Commands:\\n"
msgstr "Comandos:\\n"
'''

# Catalogs in order.
HOUSE = {
    SOURCE: CODE,
    'usock/base/usock-version.c': 'int version;\n',
    'po/POTFILES': f'# what is translated\n{SOURCE}\n',
    'po/LINGUAS': '# languages\nes\n',
    CATALOG: PO,
}

# The file, what stands in it, what stands there instead, and what is to be said of it.
PLANTED = {
    'a source that is not listed': ('po/POTFILES', SOURCE, '', 'usock-error.c is not in POTFILES'),
    'a source that is listed for nothing': (
        'po/POTFILES', SOURCE, f'{SOURCE}\nusock/base/usock-version.c',
        'usock-version.c is in POTFILES for nothing'),
    'a list of sources out of order': (
        'po/POTFILES', SOURCE, f'{SOURCE}\n{SOURCE.replace("error", "compat")}',
        'POTFILES is not in order'),
    'a macro in a string': (
        SOURCE, CODE, f'{CODE}_("%" G_GUINT64_FORMAT " bytes")\n', 'with G_GUINT64_FORMAT in it'),
    'a macro in the form for many': (
        SOURCE, CODE, f'{CODE}P_("one", "%" G_GUINT64_FORMAT " bytes", n)\n',
        'with G_GUINT64_FORMAT in it'),
    'a language that is not listed': ('po/LINGUAS', 'es\n', '', 'es is not in LINGUAS'),
    'a language without a file': ('po/LINGUAS', 'es\n', 'es\nfr\n', 'there is no fr.po'),
    'a list of languages out of order': (
        'po/LINGUAS', 'es\n', 'es\nde\n', 'LINGUAS is not in order'),
    'a file of another language': (CATALOG, 'Language: es', 'Language: gl', 'of another language'),
    'a wrong count of forms': (CATALOG, 'nplurals=2', 'nplurals=3', 'nplurals = 3'),
    'a wrong rule for forms': (CATALOG, '(n != 1)', '(n > 1)', 'does not count with'),
    'a form that is missing': (CATALOG, 'msgstr[1] "%zu bytes"\n', '', 'nplurals = 2'),
    'a message that is fuzzy': (
        CATALOG, '#, c-format\nmsgid " (', '#, fuzzy, c-format\nmsgid " (', 'needs to be reviewed'),
    'a message without a translation': (CATALOG, '"Comandos:\\n"', '""', 'is untranslated'),
    'a message that is missing': (
        CATALOG, '\nmsgid "Commands:\\n"\nmsgstr "Comandos:\\n"\n', '', 'is used but not defined'),
    'a message that is no more': (
        CATALOG, '\nmsgid "Com', '\nmsgid "gone"\nmsgstr "fuera"\n\nmsgid "Com',
        'what is no more: "gone"'),
    'a message that was put aside': (
        CATALOG, '\nmsgid "Com', '\n#~ msgid "gone"\n#~ msgstr "fuera"\n\nmsgid "Com',
        'what is no more: "gone"'),
    'a message in two places': (
        CATALOG, '\nmsgid "Com', '\nmsgid "Commands:\\n"\nmsgstr "Comandos:\\n"\n\nmsgid "Com',
        'duplicate'),
    'an argument of another type': (CATALOG, '(PID %d)', '(PID %s)', 'not the same'),
    'arguments in another order': (
        CATALOG, '%2$u mensajes esperan a «%1$s»', '%u mensajes esperan a «%s»', 'not the same'),
    'an argument that is missing': (
        CATALOG, '(PID %d)', '(PID)', 'number of format specifications'),
    'a format that is not called one': (
        CATALOG, '#, c-format\nmsgid " (pid %d)"\nmsgstr " (PID %d)"',
        'msgid " (pid %d)"\nmsgstr " (PID %s)"', 'not the same'),
    'a format that is said to be none': (
        CATALOG, '#, c-format\nmsgid " (pid %d)"\nmsgstr " (PID %d)"',
        '#, no-c-format\nmsgid " (pid %d)"\nmsgstr " (PID %s)"', 'not the same'),
    'a space that is missing before': (
        CATALOG, '" (PID', '"(PID', 'other space around “ (pid %d)”'),
    'a space too many behind': (
        CATALOG, '"%zu bytes"\n\n', '"%zu bytes "\n\n', 'other space around “%zu byte”'),
    'a newline that is missing': (CATALOG, '"Comandos:\\n"', '"Comandos:"', "end with '\\n'"),
}


def check(files):
    with tempfile.TemporaryDirectory() as directory:
        for name, text in files.items():
            path = pathlib.Path(directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([sys.executable, CHECK, directory], capture_output=True, text=True,
                              check=False)


def main():
    done = check(HOUSE)
    failed = done.returncode != 0
    print(f'{"NOT " if failed else ""}in order: nothing planted\n{done.stdout}{done.stderr}')

    for what, (name, there, instead, expected) in PLANTED.items():
        done = check({**HOUSE, name: HOUSE[name].replace(there, instead)})
        found = (there in HOUSE[name] and done.returncode == 1 and expected in done.stdout
                 and not done.stderr)
        print(f'{"found" if found else "NOT FOUND"}: {what}')
        if not found:
            print(done.stdout, done.stderr)
        failed |= not found
    sys.exit(failed)


main()
