# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What --help of each command says, the manual and the three shells know as well, and nothing else.

options.py TOOL SOURCES"""

import os
import re
import shutil
import subprocess
import sys

from interop import run

TOOL, SOURCES = sys.argv[1:]
COMMANDS = ('connect', 'listen', 'send', 'receive', 'call', 'serve', 'monitor', 'pass', 'notify', 'wait')


def output_of(*words, **options):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def helped(command):
    """Its long options, with their letters."""
    text = output_of(TOOL, command, '--help', env=dict(os.environ, LC_ALL='C.UTF-8'))
    found = re.findall(r'^  (?:-(\w), )?(--[a-z-]+)', text, re.MULTILINE)
    return {option: letter for letter, option in found}


HELPED = {command: helped(command) for command in COMMANDS}
EVERYWHERE = {option: letter for options in HELPED.values() for option, letter in options.items()}


def read(name):
    with open(os.path.join(SOURCES, name), encoding='utf-8') as file:
        return file.read()


def same(found, wanted, what):
    assert set(found) == set(wanted), f'{what}: {sorted(set(found) ^ set(wanted))}'


def manual(_path):
    text = read('usock.1').replace('\\-', '-')
    described = re.findall(r'^\.BR (?:-(\w) ", " )?(--[a-z-]+)', text, re.MULTILINE)
    same({option for _, option in described}, {*EVERYWHERE, '--version'}, 'the manual')
    for letter, option in described:
        # A letter may be that of another option in another command.
        letters = {options[option] for options in HELPED.values() if option in options}
        assert option == '--version' or letter in letters, f'-{letter} {option}'
    for command in COMMANDS:
        assert re.search(rf'"usock {command}[ "]', text), command


def manual_is_well_formed(_path):
    done = subprocess.run(['groff', '-man', '-Tutf8', '-ww', '-z', os.path.join(SOURCES, 'usock.1')],
                          capture_output=True, text=True, check=False)
    assert not done.returncode and not done.stderr, done.stderr


def bash(_path):
    script = ('source "$1"; COMP_WORDS=(usock "${@:2}"); COMP_CWORD=$(($# - 1)); _usock; '
              'printf "%s\\n" "${COMPREPLY[@]}"')

    def complete(*words):
        return output_of('bash', '-c', script, 'bash', os.path.join(SOURCES, 'completion/usock.bash'),
                         *words).split()

    same(complete(''), COMMANDS, 'commands')
    for command in COMMANDS:
        same(complete(command, '--'), HELPED[command], command)
    same(complete('connect', '--framing', '='), ['lines', 'null', 'length', 'raw', 'whole'], 'framing')
    same(complete('connect', '-f', 'l'), ['lines', 'length'], 'framing')


def fish(_path):
    if not shutil.which('fish'):
        return

    def complete(line):
        script = f'source "$argv[1]"; complete -C "{line}"'
        lines = output_of('fish', '--no-config', '-c', script,
                          os.path.join(SOURCES, 'completion/usock.fish')).splitlines()
        return [line.split('\t')[0].rstrip('=') for line in lines]

    same(complete('usock '), COMMANDS, 'commands')
    for command in COMMANDS:
        same(complete(f'usock {command} --'), HELPED[command], command)


def zsh(_path):
    text = read('completion/_usock')
    if shutil.which('zsh'):
        subprocess.run(['zsh', '-n', os.path.join(SOURCES, 'completion/_usock')], check=True)
    option = re.compile(r"(?:\{-\w[+-]?,|'\*?)(--[a-z-]+)")
    groups = {name: set(option.findall(specs)) for name, specs in
              re.findall(r'^  local -a (\w+)=\((.*?)\)$', text, re.MULTILINE | re.DOTALL)}
    for command in COMMANDS:
        arguments, = re.findall(rf'^  {command}\) _arguments (.*?) ;;', text, re.MULTILINE | re.DOTALL)
        found = set(option.findall(arguments))
        for name in re.findall(r'\$(\w+)', arguments):
            found |= groups[name]
        same(found, HELPED[command], command)


run(manual, manual_is_well_formed, bash, fish, zsh)
