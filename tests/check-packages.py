#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What doc/packages says is still so: check-packages.py SOURCE-ROOT BUILD-ROOT

Each file that this build installs is in one package of Debian, and what a package lists is installed,
if everything is built here. A Flatpak keeps what an app needs. Options are those that there are,
versions the same."""

import fnmatch
import json
import pathlib
import re
import sys

# What has to be on for everything to be built.
EVERYTHING = ('introspection', 'vapi', 'nls', 'tool', 'gtk_doc', 'installed_tests')


def read_json(build, name):
    return json.loads((build / f'meson-info/intro-{name}.json').read_text(encoding='utf-8'))


def options_of(build):
    return {option['name']: option['value'] for option in read_json(build, 'buildoptions')}


def installed_files(build, options):
    """As they are called on Debian, whatever the prefix is here."""
    for path in read_json(build, 'installed').values():
        path = str(pathlib.Path(path).relative_to(options['prefix']))
        path = re.sub(r'^lib/python3[^/]*/\w+-packages/', 'lib/python3/dist-packages/', path)
        path = re.sub(rf'^{options["libdir"]}/(?!python3)', 'lib/ARCHITECTURE/', path)
        yield f'usr/{path}'


def lines_of(path):
    return [line for line in path.read_text(encoding='utf-8').splitlines()
            if line and not line.startswith('#')]


def is_below(file, pattern):
    """As dh_install has it: a file, or all that is in a folder."""
    return any(fnmatch.fnmatchcase(str(path), pattern)
               for path in (pathlib.Path(file), *pathlib.Path(file).parents))


def install_problems(debian, files, is_everything):
    patterns = [(path.stem, line.split()[0]) for path in sorted(debian.glob('*.install'))
                for line in lines_of(path)]
    for file in sorted(files):
        owners = [package for package, pattern in patterns if is_below(file, pattern)]
        if len(owners) != 1:
            yield f'{file} is in {owners or "no package"}'
    for package, pattern in patterns:
        if is_everything and not any(is_below(file, pattern) for file in files):
            yield f'{package}.install: nobody installs {pattern}'


def control_problems(debian, source):
    packages = set(re.findall(r'^Package: (\S+)$', (debian / 'control').read_text(), re.MULTILINE))
    listing = {path.stem for path in debian.glob('*.install')}
    for package in sorted(packages ^ listing):
        yield f'{package} is in one only, debian/control or the lists of files'
    page = (source / 'doc/packages.md').read_text(encoding='utf-8')
    for package in sorted(packages):
        if f'`{package}`' not in page:
            yield f'doc/packages.md does not say what {package} is'


def version_problems(debian, build):
    version = read_json(build, 'projectinfo')['version']
    packaged, = re.match(r'usock \(([^-)]+)-', (debian / 'changelog').read_text()).groups()
    if packaged != version:
        yield f'debian/changelog has {packaged}, and this is {version}'


def option_problems(options, path, text):
    for name in re.findall(r'-D(\w+)=', text):
        if name not in options:
            yield f'{path.name}: there is no option {name}'


def is_cleaned(file, patterns):
    """As flatpak-builder reads them: from the prefix, or a name anywhere."""
    path = '/' + file.removeprefix('usr/').replace('lib/ARCHITECTURE/', 'lib/')
    return any(path.startswith(f'{pattern}/') or fnmatch.fnmatchcase(path, pattern)
               if pattern.startswith('/') else fnmatch.fnmatchcase(pathlib.Path(path).name, pattern)
               for pattern in patterns)


def flatpak_problems(page, options, files, is_everything):
    text, = re.findall(r'^```json\n(.*?)^```$', page.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL)
    module = json.loads(text)
    yield from option_problems(options, page, text)
    if module['buildsystem'] != 'meson' or not module['sources']:
        yield f'{page.name}: a module of meson has sources'
    if not is_everything:
        return
    for pattern in module['cleanup']:
        if not any(is_cleaned(file, [pattern]) for file in files):
            yield f'{page.name}: nobody installs {pattern}'
    kept = {pathlib.Path(file).name for file in files if not is_cleaned(file, module['cleanup'])}
    for name in {'libusock-1.so.1', 'Usock-1.typelib', 'Usock.js', 'Usock.py', 'usock-1.mo'} - kept:
        yield f'{page.name}: an app would miss {name}'


def main():
    source, build = map(pathlib.Path, sys.argv[1:])
    debian = source / 'doc/packages/debian'
    options = options_of(build)
    files = set(installed_files(build, options))
    assert len(files) > 20, files
    is_everything = all(options[name] in (True, 'enabled') for name in EVERYTHING)
    problems = [*install_problems(debian, files, is_everything), *control_problems(debian, source),
                *version_problems(debian, build),
                *option_problems(options, debian / 'rules', (debian / 'rules').read_text()),
                *flatpak_problems(source / 'doc/install.md', options, files, is_everything)]
    print('\n'.join(problems) or f'{len(files)} files are in one package each')
    sys.exit(bool(problems))


main()
