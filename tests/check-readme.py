# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Runs the programs of README.md as they are typed there: check-readme.py README [LANGUAGE...]

Of each language the first block is a server and the second a client; every client is to get its
answer from every server."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'interop'))
from interop import wait_for_listener  # noqa: E402

DEADLINE = 60
PATH = 'echo.socket'
EXTENSIONS = {'python': 'py', 'js': 'js', 'c': 'c', 'vala': 'vala'}
COMMANDS = {'python': 'python3', 'js': 'gjs', 'c': 'cc', 'vala': 'valac'}


def blocks(text, language):
    return re.findall(rf'^```{language}\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)


def make_ready(text, language, role, place):
    """Does all but the last of its line; returns what that is, to be run elsewhere."""
    line, = (line for line in blocks(text, 'sh')[0].splitlines()
             if shlex.split(line)[0] == COMMANDS[language])
    *before, last = line.replace('server', role).split(' && ')
    for command in before:
        subprocess.run(command, shell=True, cwd=place, check=True)
    *interpreter, program = shlex.split(last)
    if language == 'python':
        interpreter = [sys.executable]
    return [*interpreter, os.path.join(place, program)]


def write_programs(text, directory, languages):
    """Returns the servers and the clients: what to run, by language."""
    programs = {'server': {}, 'client': {}}
    for language in languages:
        sources = blocks(text, language)
        assert len(sources) == 2, f'{len(sources)} blocks of {language}'
        place = os.path.join(directory, language)
        os.mkdir(place)
        for role, source in zip(('server', 'client'), sources):
            path = os.path.join(place, f'{role}.{EXTENSIONS[language]}')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(source)
            programs[role][language] = make_ready(text, language, role, place)
    return programs['server'], programs['client']


@contextlib.contextmanager
def serving(command, directory):
    process = subprocess.Popen(command, cwd=directory)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        text = file.read()
    with tempfile.TemporaryDirectory(prefix='usock-') as directory:
        servers, clients = write_programs(text, directory, sys.argv[2:] or EXTENSIONS)
        # Each server is killed, and leaves its path behind; the next takes it over.
        for language, server in servers.items():
            with serving(server, directory):
                wait_for_listener(os.path.join(os.path.realpath(directory), PATH))
                for other, client in clients.items():
                    answer = subprocess.run(client, cwd=directory, timeout=DEADLINE, check=True,
                                            stdout=subprocess.PIPE, encoding='utf-8').stdout
                    assert answer == 'hello\n', f'{other} got {answer!r} from {language}'


main()
