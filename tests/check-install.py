#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What others meet: usock installed, as README.md and doc/install.md say, and as a subproject, which
is what `meson dist` makes of it.

check-install.py SOURCE-ROOT CC   installs below a prefix of its own, and sets the variables
check-install.py SOURCE-ROOT      installs in /usr, where no variable is needed
"""

import gettext
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
import bare  # noqa: E402

CODE = '''#include <usock/usock.h>

int
main (void)
{
  g_autoptr (UsockSeqpacket) channel = usock_seqpacket_new ();

  g_print ("%s", g_type_name_from_instance ((GTypeInstance *) channel));
  return 0;
}
'''

PROJECT = '''project('consumer', 'c')
executable('consumer', 'consumer.c', dependencies: dependency('usock-1', fallback: 'usock'))
'''

INSTALLED = [
    'share/gir-1.0/Usock-1.gir', '*/girepository-1.0/Usock-1.typelib', 'share/vala/vapi/usock-1.vapi',
    'share/vala/vapi/usock-1.deps', 'share/gjs-1.0/overrides/Usock.js', '*/gi/overrides/Usock.py',
    '*/gi/overrides/Usock.pyi', 'share/gjs-1.0/overrides/usock-1.d.ts',
    'share/locale/de/LC_MESSAGES/usock-1.mo', 'include/usock-1/usock/usock.h',
    'bin/usock', 'share/man/man1/usock.1', '*/completions/usock', '*/site-functions/_usock',
    '*/vendor_completions.d/usock.fish', 'include/usock-1/usock/usock-enums.h', 'include/usock-1/usock/usock-version.h',
]
SUBPROJECT = {'consumer': 'executable', 'usock-1': 'shared library',
              'usock-enums.h': 'custom', 'usock-enums.c': 'custom'}

# What a build makes that was asked for nothing else.
DEFAULT = {'usock-1': 'shared library', 'usock': 'executable'}
LINKED = ('executable', 'shared library', 'shared module', 'static library')

# What makes the copy that was built here be found.
VARIABLES = ('PKG_CONFIG_PATH', 'LD_LIBRARY_PATH', 'GI_TYPELIB_PATH', 'PYTHONPATH', 'GJS_PATH',
             'XDG_DATA_DIRS')

here = pathlib.Path(__file__).parent


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode:
        sys.exit(f'{" ".join(map(str, command))}:\n{done.stdout}')
    return done.stdout


def check_files(root):
    files = [path for path in root.rglob('*') if path.is_file()]
    for pattern in INSTALLED:
        if not any(path.match(pattern) for path in files):
            sys.exit(f'{pattern} is not installed')
    private = [path for path in files if 'private' in path.name or path.suffix == '.a']
    if private:
        sys.exit(f'{private} should not be installed')


def install(source, page, build, pattern, environment):
    """Does what a page says in a line that matches the pattern."""
    setup, = re.findall(pattern, (source / page).read_text(), re.MULTILINE)
    setup = setup.replace('_build', str(build)) + ' --buildtype=plain --werror'
    run('sh', '-c', setup, cwd=source, env=environment)
    run('meson', 'install', '-C', build, env=environment)


def check_translations(directory, source, run_installed, environment):
    """The tool speaks each language, and so is seen to find its catalogs where it is installed."""
    # From glibc 2.40 on nothing is translated in C.UTF-8.
    run('localedef', '-i', 'en_US', '-f', 'UTF-8', directory / 'en_US.UTF-8')
    environment = environment | {'LOCPATH': str(directory), 'LC_ALL': 'en_US.UTF-8'}
    for language in re.findall(r'^[a-z]\w*$', (source / 'po/LINGUAS').read_text(), re.MULTILINE):
        catalog = gettext.translation('usock-1', directory / 'usock/share/locale', [language])
        told = run_installed(directory / 'usock/bin/usock', '--help',
                             env=environment | {'LANGUAGE': language})
        if catalog.gettext('Wait until somebody listens') not in told:
            sys.exit(f'where {language} is spoken, the tool says:\n{told}')


def targets_of(build):
    targets = json.loads(run('meson', 'introspect', '--targets', build))
    return {target['name']: target['type'] for target in targets}


def check_default(build):
    linked = {name: kind for name, kind in targets_of(build).items() if kind in LINKED}
    if linked != DEFAULT:
        sys.exit(f'a build that was asked for nothing has {sorted(linked)}')


def check_prefix(directory, source, environment):
    environment = environment | {'HOME': str(directory)}
    page = 'doc/install.md'
    install(source, page, directory / 'build', r'^(meson setup _build --prefix=\$HOME.*)$',
            environment)
    check_files(directory / 'usock')
    check_default(directory / 'build')

    readme = source / 'README.md'
    variables, = re.findall(r'^```sh\n(prefix=.*?)^```$', (source / page).read_text(),
                            re.MULTILINE | re.DOTALL)

    def run_installed(*command, **options):
        return run('sh', '-ec', variables + '"$@"', 'sh', *command, **options)

    run_installed(sys.executable, here / 'check-readme.py', readme, env=environment)
    check_translations(directory, source, run_installed, environment)


def check_system(directory, source, environment):
    install(source, 'README.md', directory / 'build', r'^    (meson setup _build --prefix=/usr)$',
            environment)
    run(sys.executable, here / 'check-readme.py', source / 'README.md', env=environment)


def commit(place):
    git = ['git', '-C', place, '-c', 'user.name=usock', '-c', 'user.email=usock@localhost']
    run('git', 'init', '--quiet', place)
    run(*git, 'add', '--all')
    run(*git, 'commit', '--quiet', '--no-verify', '--message=All of it')
    return set(run(*git, 'ls-files').splitlines())


def release(directory, environment):
    """Unpacks what would be released, with what was not committed yet."""
    checkout, build = directory / 'checkout', directory / 'checkout-build'
    bare.copy_source(checkout)
    committed = commit(checkout)
    run('meson', 'setup', build, checkout, env=environment)
    run('meson', 'dist', '-C', build, '--no-tests', '--formats=gztar', env=environment)
    archive, = (build / 'meson-dist').glob('usock-*.tar.gz')
    with tarfile.open(archive) as file:
        file.extractall(directory)
    unpacked = directory / archive.name.removesuffix('.tar.gz')
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob('*') if not path.is_dir()}
    if found != committed:
        sys.exit(f'in one only, git or the archive: {sorted(found ^ committed)}')
    return unpacked


def check_subproject(directory, source, environment):
    (directory / 'consumer.c').write_text(CODE)
    (directory / 'meson.build').write_text(PROJECT)
    (directory / 'subprojects').mkdir()
    (directory / 'subprojects/usock').symlink_to(source)
    build = directory / 'build'
    run('meson', 'setup', '--wrap-mode=forcefallback', '--buildtype=plain', build, directory,
        env=environment)
    if targets_of(build) != SUBPROJECT:
        sys.exit(f'a subproject has {sorted(targets_of(build))}')
    run('ninja', '-C', build, env=environment)
    told = run(build / 'consumer', env=environment)
    if told != 'UsockSeqpacket':
        sys.exit(f'a program that has usock as a subproject says {told!r}')


def main():
    source, *compiler = sys.argv[1:]
    source = pathlib.Path(source)
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    with tempfile.TemporaryDirectory(prefix='usock-') as name:
        directory = pathlib.Path(name)
        if not compiler:
            check_system(directory, source, environment)
            return
        environment['CC'], = compiler
        # It is about what gets where, not how fast that is.
        environment['CFLAGS'] = '-O0 -g0'
        check_prefix(directory, source, environment)
        (directory / 'consumer').mkdir()
        if (source / '.git').exists() and shutil.which('git'):
            source = release(directory, environment)
        check_subproject(directory / 'consumer', source, environment)


main()
