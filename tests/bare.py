# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Bare Debian systems, for those who try something where nothing else is: tests/roots, tests/package.

The mirror is that of this machine's apt, or USOCK_MIRROR. The roots are made once, and kept bare for
the next time; they are used by copy. Only root can do it, and it takes debootstrap."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent
DIRECTORY = pathlib.Path('/var/tmp/usock-roots')
MIRROR = 'http://deb.debian.org/debian'
PACKAGES = 'ca-certificates,gcc,libc6-dev,make,python3'

# Run in namespaces of its own, so that nothing stays mounted or running.
MOUNT = '''
set -e
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
exec "$@"
'''
PASSED_ON = ('http_proxy', 'https_proxy', 'no_proxy', 'DEB_BUILD_OPTIONS', 'DEB_BUILD_PROFILES')


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, **options)


def mirror():
    """Where this machine's own apt gets Debian from."""
    if 'USOCK_MIRROR' in os.environ:
        return os.environ['USOCK_MIRROR']
    targets = subprocess.run(
        ['apt-get', 'indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages',
         'Origin: Debian', 'Component: main'], capture_output=True, text=True, check=False).stdout
    uris = [uri for uri in targets.split() if 'security' not in uri]
    return uris[0] if uris else MIRROR


def settings_of_apt():
    """How this machine gets to the mirror, where it says so."""
    dump = subprocess.run(['apt-config', 'dump'], capture_output=True, text=True, check=False).stdout
    return ''.join(re.findall(r'^Acquire::\w+::Proxy.*\n', dump, re.MULTILINE))


def make_bare(bare):
    """A mirror may be some days behind its own promises, sid's above all."""
    release, _, architecture = bare.name.removesuffix('.bare').partition('-')
    unready = bare.with_suffix('.unready')
    shutil.rmtree(unready, ignore_errors=True)
    options = [f'--arch={architecture}'] if architecture else []
    with open(bare.with_suffix('.log'), 'w', encoding='utf-8') as log:
        run('debootstrap', '--variant=minbase', f'--include={PACKAGES}', *options, release, unready,
            mirror(), stdout=log, stderr=log)
    shutil.rmtree(unready / 'var/cache/apt/archives')
    (unready / 'var/cache/apt/archives/partial').mkdir(parents=True)
    (unready / 'etc/apt/apt.conf.d/90usock').write_text(
        settings_of_apt() + 'Acquire::Check-Valid-Until "false";\n')
    # What this machine trusts, on its way to the npm registry.
    trusted = pathlib.Path('/etc/ssl/certs/ca-certificates.crt')
    if trusted.exists():
        shutil.copy(trusted, unready / 'etc/ssl/usock.crt')
    unready.rename(bare)


def prepare(directory):
    if os.geteuid() != 0 or shutil.which('debootstrap') is None:
        sys.exit('This takes root and debootstrap.')
    directory.mkdir(parents=True, exist_ok=True)


def make_root(directory, name, purpose=''):
    """A copy, which is the caller's to remove."""
    bare = directory / f'{name}.bare'
    if not bare.exists():
        print(f'making a bare {name}', file=sys.stderr)
        make_bare(bare)
    root = directory / f'{name}{purpose}'
    shutil.rmtree(root, ignore_errors=True)
    run('cp', '-a', bare, root)
    return root


def copy_source(place):
    """All that is the project's, whether it was committed yet or not."""
    place.mkdir()
    files = run('git', '-C', SOURCE, 'ls-files', '-z', '--cached', '--others', '--exclude-standard',
                stdout=subprocess.PIPE).stdout
    for name in filter(None, files.split('\0')):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if (SOURCE / name).exists():
            shutil.copy2(SOURCE / name, path)


def with_root(root, *command, log_path):
    """Runs a command of this machine for which the root is ready to be entered; returns its status."""
    with open(log_path, 'w', encoding='utf-8') as log:
        return subprocess.run(
            ['unshare', '--mount', '--mount-proc', '--pid', '--fork', '--kill-child', 'sh', '-c',
             MOUNT, 'sh', root, *command],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode


def run_in(root, place, command, log_path):
    """Runs a command for the shell in a directory of the root; returns its status."""
    personality = 'linux32' if 'i386' in root.name else 'linux64'
    passed_on = [f'{name}={os.environ[name]}' for name in PASSED_ON if name in os.environ]
    return with_root(
        root, 'chroot', root, personality, 'env', '-i', 'HOME=/root',
        'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'NODE_EXTRA_CA_CERTS=/etc/ssl/usock.crt', *passed_on,
        'sh', '-c', f'cd {place} && {command}', log_path=log_path)


def show(rows):
    """Named tuples of texts, as a table."""
    table = [rows[0]._fields, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print('  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
