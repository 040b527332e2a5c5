#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Looks at the window of examples/gtk-connections: check-gtk.py PICTURE.png [--press] PROGRAM...

Clients come, say something, and go, and the pixels of a virtual screen tell whether the window
shows it. What they say are blocks, which make bars on the screen as long as the message. With
--press the program is a script with a button in each row, and the first is pressed as well. The
picture is that of the last look."""

import contextlib
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

DEADLINE = 60
WIDTH, HEIGHT = 640, 480
BLOCK = '█'
DARK = b'x' * 128 + b' ' * 128
PRESSER = pathlib.Path(__file__).with_name('press-button.py')


def wait_for(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not (result := condition()):
        if time.monotonic() > deadline:
            sys.exit(f'{what} did not happen in {DEADLINE} s')
        time.sleep(0.02)
    return result


class Screen:
    """The memory of a virtual X server, which is a file in the format of xwd."""

    def __init__(self, directory):
        self._file = os.path.join(directory, 'Xvfb_screen0')
        reading, writing = os.pipe()
        self.server = subprocess.Popen(
            ['Xvfb', '-displayfd', str(writing), '-screen', '0', f'{WIDTH}x{HEIGHT}x24',
             '-fbdir', directory, '-wr', '-nolisten', 'tcp'],
            pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as number:
            self.display = ':' + number.readline().strip()
        if self.display == ':':
            sys.exit('Xvfb does not start')

    def rows(self):
        """Each row of the screen, a byte for each pixel: how light its green is."""
        with open(self._file, 'rb') as file:
            data = file.read()
        header = struct.unpack('>25I', data[:100])
        size, bytes_per_line, n_colors = header[0], header[12], header[19]
        first = size + n_colors * 12
        return [data[first + y * bytes_per_line + 1:first + (y + 1) * bytes_per_line:4]
                for y in range(HEIGHT)]


def write_picture(path, rows):
    def chunk(kind, content):
        checked = kind + content
        return struct.pack('>I', len(content)) + checked + struct.pack('>I', zlib.crc32(checked))
    with open(path, 'wb') as file:
        file.write(b'\x89PNG\r\n\x1a\n'
                   + chunk(b'IHDR', struct.pack('>IIBBBBB', WIDTH, HEIGHT, 8, 0, 0, 0, 0))
                   + chunk(b'IDAT', zlib.compress(b''.join(b'\0' + row for row in rows)))
                   + chunk(b'IEND', b''))


def longest_run(row):
    """Of pixels darker than half."""
    dark = row[:WIDTH].translate(DARK)
    return max(map(len, dark.split(b' ')))


def bars(screen):
    """The lengths of the bars on the screen, from above."""
    found = []
    inside = 0
    for row in screen.rows():
        length = longest_run(row)
        if length >= 20:
            inside += 1
            if inside == 4:
                found.append(length)
        else:
            inside = 0
    return found


def says(client, n):
    client.send((BLOCK * n).encode())


def connects(client, path):
    """Not while the path is there already and nobody listens yet."""
    try:
        client.connect(path)
    except ConnectionRefusedError:
        return False
    return True


@contextlib.contextmanager
def connected(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        wait_for(lambda: connects(client, path), 'connecting')
        yield client


def look(screen, path, picture):
    """Four, eight and twelve blocks; then the first says more, and the second goes."""
    with contextlib.ExitStack() as clients:
        first, second, third = (clients.enter_context(connected(path)) for _ in range(3))
        for n, client in ((4, first), (8, second), (12, third)):
            says(client, n)
        short, middle, long = wait_for(lambda: len(found := bars(screen)) == 3 and found,
                                       'showing three connections')
        write_picture(picture, screen.rows())
        if not 1.8 < middle / short < 2.2 or not 2.7 < long / short < 3.3:
            sys.exit(f'the bars are of the wrong lengths: {short}, {middle}, {long}')
        says(first, 16)
        wait_for(lambda: bars(screen)[:1] > [long], 'showing another message')
        second.close()
        wait_for(lambda: len(bars(screen)) == 2, 'taking one away')
        last = wait_for(lambda: bars(screen), 'looking at the rest')
        if last[1] != long:
            sys.exit(f'the wrong one is gone: {last}')
    wait_for(lambda: not bars(screen), 'taking all away')


def press(screen, path, window):
    """The button of the first of two, who is told, while the other one stays."""
    with connected(path) as first, connected(path) as second:
        says(first, 4)
        says(second, 8)
        _, long = wait_for(lambda: len(found := bars(screen)) == 2 and found,
                           'showing two connections')
        window.send_signal(signal.SIGUSR1)
        first.settimeout(DEADLINE)
        if first.recv(100):
            sys.exit('who was parted from got a message')
        wait_for(lambda: bars(screen) == [long], 'leaving the other one')


def main():
    picture, *program = sys.argv[1:]
    pressing = program[0] == '--press'
    if pressing:
        program = [sys.executable, PRESSER, *program[1:]]
    with tempfile.TemporaryDirectory(prefix='usock-gtk-') as directory:
        screen = Screen(directory)
        path = os.path.join(directory, 'socket')
        environment = dict(os.environ, DISPLAY=screen.display, GDK_BACKEND='x11',
                           GSK_RENDERER='cairo', GTK_A11Y='none', GTK_THEME='Default',
                           GSETTINGS_BACKEND='memory', HOME=directory, NO_AT_BRIDGE='1')
        window = subprocess.Popen([*program, path], env=environment)
        try:
            wait_for(lambda: os.path.exists(path) or window.poll() is not None, 'listening')
            look(screen, path, picture)
            if pressing:
                press(screen, path, window)
        except SystemExit:
            write_picture(picture, screen.rows())
            raise
        finally:
            window.kill()
            window.wait()
            screen.server.terminate()
            screen.server.wait()
    print('The window shows who is connected, and what they said last.')


main()
