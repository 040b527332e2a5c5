# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the tests of the tool share: running it, and waiting until it is where it should be."""

import contextlib
import os
import signal
import subprocess
import sys

from interop import DEADLINE, expect_success, need, run, start, wait_for_listener, wait_for_receiver

__all__ = ['DEADLINE', 'TOOL', 'background', 'expect', 'expect_success', 'fails', 'listening', 'need',
           'output_of', 'receiving', 'run', 'start', 'tool', 'wait_for_listener', 'wait_for_receiver']

TOOL = sys.argv[1]

# Who runs the tests may ignore these, like nohup(1), and a program started so goes on ignoring them.
for number in (signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_DFL)


def tool(*words, data=b'', **options):
    """Runs it to its end."""
    return subprocess.run([TOOL, *map(str, words)], input=data, capture_output=True, timeout=DEADLINE,
                          check=False, **options)


def output_of(*words, **options):
    done = tool(*words, **options)
    assert done.returncode == 0 and not done.stderr, f'{words}: {done}'
    return done.stdout


def expect(actual, wanted):
    assert actual == wanted, f'{actual!r}, not {wanted!r}'


def fails(status, text, *words, **options):
    """It says what is wrong, in one line or with a hint, and prints nothing else."""
    done = tool(*words, **options)
    expect(done.returncode, status)
    assert text in done.stderr.decode() and not done.stdout, f'{words}: {done}'


@contextlib.contextmanager
def background(*words, wait=None, path=None, **options):
    with start(TOOL, *words, stdin=options.pop('stdin', subprocess.PIPE), stdout=subprocess.PIPE,
               **options) as process:
        if wait:
            wait(path)
        yield process
        for pipe in (process.stdin, process.stdout):
            if pipe and not pipe.closed:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def listening(path, command, *words, **options):
    return background(command, path, *words, wait=wait_for_listener,
                      path=os.path.realpath(path), **options)


def receiving(path, command, *words, **options):
    return background(command, '-d', path, *words, wait=wait_for_receiver, path=os.path.realpath(path),
                      **options)
