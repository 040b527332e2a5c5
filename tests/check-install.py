#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What another project meets: the installed library, and usock as its subproject.

check-install.py SOURCE-ROOT BUILD-ROOT PREFIX CC
"""

import os
import pathlib
import subprocess
import sys
import tempfile

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
executable('consumer', 'consumer.c',
  dependencies: dependency('usock-1', fallback: 'usock', required: true,
    default_options: ['tests=false', 'examples=false']))
'''

INSTALLED = [
    'share/gir-1.0/Usock-1.gir', '*/girepository-1.0/Usock-1.typelib', 'share/vala/vapi/usock-1.vapi',
    'share/vala/vapi/usock-1.deps', 'share/gjs-1.0/overrides/Usock.js', '*/gi/overrides/Usock.py',
    'share/locale/de/LC_MESSAGES/usock-1.mo', 'include/usock-1/usock/usock.h',
    'include/usock-1/usock/usock-enums.h', 'include/usock-1/usock/usock-version.h',
]


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode:
        sys.exit(f'{" ".join(map(str, command))}:\n{done.stdout}')
    return done.stdout


def expect(output, expected, what):
    if output.splitlines()[-1:] != [expected]:
        sys.exit(f'{what} says {output!r}')


def check_installed(directory, build, prefix, compiler):
    run('meson', 'install', '--no-rebuild', '-C', build, '--destdir', directory / 'root')
    root = directory / 'root' / prefix.lstrip('/')
    files = [path for path in root.rglob('*') if path.is_file()]
    for pattern in INSTALLED:
        if not any(path.match(f'{root}/{pattern}') or path.match(pattern) for path in files):
            sys.exit(f'{pattern} is not installed')
    private = [path for path in files if 'private' in path.name or path.suffix == '.a']
    if private:
        sys.exit(f'{private} should not be installed')

    libdir = next(path for path in files if path.name.startswith('libusock-1.so')).parent
    description = libdir / 'pkgconfig/usock-1.pc'
    description.write_text(description.read_text().replace(f'prefix={prefix}\n', f'prefix={root}\n'))
    flags = run('pkg-config', '--cflags', '--libs', 'usock-1',
                env=os.environ | {'PKG_CONFIG_PATH': str(description.parent)}).split()
    run(*compiler, '-Wall', '-Werror', '-o', directory / 'consumer', directory / 'consumer.c', *flags)
    environment = os.environ | {'LD_LIBRARY_PATH': str(libdir)}
    expect(run(directory / 'consumer', env=environment), 'UsockSeqpacket', 'a program')


def check_subproject(directory, source):
    (directory / 'meson.build').write_text(PROJECT)
    (directory / 'subprojects').mkdir()
    (directory / 'subprojects/usock').symlink_to(source)
    environment = {k: v for k, v in os.environ.items()
                   if k not in ('PKG_CONFIG_PATH', 'LD_LIBRARY_PATH')}
    run('meson', 'setup', '--wrap-mode=forcefallback', directory / 'build', directory, env=environment)
    run('ninja', '-C', directory / 'build', 'consumer', env=environment)
    expect(run(directory / 'build/consumer', env=environment), 'UsockSeqpacket', 'a subproject')


def main():
    source, build, prefix, compiler = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / 'consumer.c').write_text(CODE)
        check_installed(directory, build, prefix, compiler.split())
        check_subproject(directory, source)
    print('installed and as a subproject, usock can be used')


main()
