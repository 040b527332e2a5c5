# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the reference lists of the overrides is there: check-overrides.py ROOT [GJS]

The lists are read from the sources; here the languages themselves are asked."""

import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1])
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / 'doc'))

import gi  # noqa: E402
import overrides  # noqa: E402

gi.require_version('Usock', '1')
from gi.repository import Usock  # noqa: E402

SCRIPT = """
import Usock from 'gi://Usock?version=1';
const names = %s;

// What is written in JavaScript is the override's. Some only look at their arguments first.
for (const [owner, type] of Object.entries(Object.getOwnPropertyDescriptors(Usock))) {
    const {prototype} = type.value ?? {};
    for (const [name, {value}] of Object.entries(Object.getOwnPropertyDescriptors(prototype ?? {}))) {
        if (typeof value === 'function' && !/native (code|symbol)|^class|^function \\(.*\\.\\.\\.(args|rest)\\)/.test(value.toString()) &&
            !/^(_.*|.*_async|.*_finish|set_.*|constructor)$/.test(name) &&
            !names.some(each => each[0] === owner && each[1] === name))
            print(`GJS: ${name} of ${owner} is not listed`);
    }
}

for (const [owner, name] of names.filter(([, , isThere]) => isThere)) {
    const type = owner === null ? Usock : Usock[owner];
    const symbol = Symbol[name];
    if (!(name in type) && !(name in (type.prototype ?? {})) &&
        !(symbol !== undefined && symbol in type.prototype))
        print(`GJS: there is no ${name} of ${owner}`);
}
"""


def read(name):
    return (ROOT / 'usock/overrides' / name).read_text(encoding='utf-8')


def python_problems():
    entries, classes = overrides.python(read('Usock.py'))
    for entry in entries:
        owner = getattr(Usock, entry.owner) if entry.owner else Usock
        if not hasattr(owner, entry.name):
            yield f'Python: there is no {entry.name} of {entry.owner}'
    listed = {entry.name for entry in entries if entry.owner is None} | set(classes)
    exported = set(sys.modules['gi.overrides.Usock'].__all__)
    for name in sorted(exported - listed):
        yield f'Python: {name} is not listed'


def javascript_problems(gjs):
    entries, _ = overrides.javascript(read('Usock.js'))
    # The third says whether it has to be there. A loop over several classes gives to some what they
    # alone have, and some comes with newer engines only.
    names = [(entry.owner, entry.name, entry.signature != f'{entry.name}(fd)'
              and entry.name not in ('dispose', 'asyncDispose')) for entry in entries]
    assert len(names) > 80, f'only {len(names)} are listed'
    with tempfile.NamedTemporaryFile('w', suffix='.js') as file:
        file.write(SCRIPT % json.dumps(names))
        file.flush()
        told = subprocess.run([gjs, '-m', file.name], text=True, check=True,
                              stdout=subprocess.PIPE, timeout=60).stdout
    yield from told.splitlines()


def main():
    problems = list(python_problems())
    for gjs in sys.argv[2:]:
        problems += javascript_problems(gjs)
    print('\n'.join(problems) or 'all that is listed is there')
    sys.exit(bool(problems))


main()
