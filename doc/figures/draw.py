#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Draws the figures, each light and dark: draw.py [--check]

With --check it writes nothing, and fails if a file is another than what it would write."""

import html
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent

LIGHT = {'ground': '#ffffff', 'ink': '#24292f', 'soft': '#57606a', 'line': '#8c959f',
         'box': '#f6f8fa', 'blue': '#1662be', 'blue-box': '#ddebfb', 'yellow': '#8a5a00',
         'yellow-box': '#fff1cc', 'green': '#116329', 'green-box': '#dff5e3',
         'red': '#b0261c', 'red-box': '#fde3e0'}
DARK = {'ground': '#121212', 'ink': '#e6e6e6', 'soft': '#a8b0b8', 'line': '#6e7681',
        'box': '#1e2125', 'blue': '#90c2ff', 'blue-box': '#12304f', 'yellow': '#ffd166',
        'yellow-box': '#3d3007', 'green': '#8ddb9c', 'green-box': '#10351b',
        'red': '#ff9d94', 'red-box': '#471a16'}


class Figure:
    """Boxes, arrows and words, in one palette."""

    def __init__(self, width, height, title, palette):
        self.palette = palette
        self.size = width, height
        self.title = title
        self.parts = []

    def box(self, x, y, width, height, text, kind='box', small=None):
        fill = self.palette[kind if kind == 'box' else kind + '-box']
        stroke = self.palette['line' if kind == 'box' else kind]
        self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" '
                          f'fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>')
        lines = text.split('\n')
        more = small.split('\n') if small else []
        top = y + height / 2 - (len(lines) * 19 + len(more) * 16) / 2
        for i, line in enumerate(lines):
            self.text(x + width / 2, top + 15 + i * 19, line, bold=True)
        for i, line in enumerate(more):
            self.text(x + width / 2, top + len(lines) * 19 + 12 + i * 16, line, size=12.5,
                      color='soft')

    def text(self, x, y, text, size=14.5, color='ink', anchor='middle', bold=False, mono=False):
        weight = ' font-weight="600"' if bold else ''
        family = ' font-family="monospace"' if mono else ''
        self.parts.append(f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" '
                          f'fill="{self.palette[color]}"{weight}{family}>{html.escape(text)}</text>')

    def arrow(self, *points, color='line', dashed=False, label=None, at=None):
        dash = ' stroke-dasharray="5 4"' if dashed else ''
        path = 'M' + ' L'.join(f'{x:g} {y:g}' for x, y in points)
        self.parts.append(f'<path d="{path}" fill="none" stroke="{self.palette[color]}" '
                          f'stroke-width="2"{dash} marker-end="url(#{color})"/>')
        if label:
            x, y = at or ((points[0][0] + points[-1][0]) / 2, (points[0][1] + points[-1][1]) / 2 - 8)
            self.text(x, y, label, size=12.5, color='soft')

    def envelope(self, x, y, text, kind='blue', width=92):
        self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="30" rx="5" '
                          f'fill="{self.palette[kind + "-box"]}" stroke="{self.palette[kind]}" '
                          'stroke-width="1.5"/>')
        self.text(x + width / 2, y + 20, text, size=13, color=kind)

    def write(self):
        width, height = self.size
        markers = ''.join(
            f'<marker id="{color}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
            f'markerHeight="7" orient="auto-start-reverse">'
            f'<path d="M0 0 L10 5 L0 10 z" fill="{self.palette[color]}"/></marker>'
            for color in ('line', 'blue', 'green', 'red', 'yellow'))
        return '\n'.join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" '
            'font-family="system-ui, -apple-system, \'Segoe UI\', Cantarell, \'DejaVu Sans\', '
            'sans-serif">',
            '<!-- SPDX-FileCopyrightText: 2026 The usock developers -->',
            '<!-- SPDX-' 'License-Identifier: LGPL-2.1-or-later -->',
            '<!-- Drawn by draw.py. -->',
            f'<title>{html.escape(self.title)}</title>',
            f'<defs>{markers}</defs>',
            f'<rect width="{width}" height="{height}" rx="12" fill="{self.palette["ground"]}"/>',
            *self.parts, '</svg>', ''])


def draw_front(palette):
    f = Figure(860, 300, 'Programs in any language send whole messages to a server', palette)
    for i, (name, what) in enumerate((('App', 'Python'), ('Shell extension', 'GJS'),
                                      ('Tool', 'C, Vala'))):
        f.box(20, 20 + i * 92, 150, 72, name, small=what)
    f.box(690, 20, 150, 256, 'Server', 'blue', 'keeps the list of its\nconnections, knows\n'
          'who each one is,\nand decides who\nmay come in')
    for y in (56, 148, 240):
        f.arrow((170, y), (688, y))
    f.envelope(205, 41, 'hello')
    f.envelope(315, 41, 'you')
    f.envelope(425, 41, '', width=50)
    f.text(500, 36, 'empty is a message, too', size=12.5, color='soft', anchor='start')
    f.envelope(225, 133, 'open this')
    f.envelope(335, 133, '+ an open file', 'green', 120)
    f.envelope(473, 133, '+ uid, process', 'yellow', 125)
    f.envelope(205, 225, '12,932 bytes', width=250)
    f.text(462, 230, 'whole, or an error says why', size=12.5, color='soft',
           anchor='start')
    return f


def draw_house(palette):
    f = Figure(860, 680, 'The floors of the house', palette)
    floors = (
        ('10', 'client', 'comes back when its server does', 'blue'),
        ('9', 'peer · spawn', 'calls and answers over a channel; programs started with one', 'blue'),
        ('8', 'server', 'listens, decides who may in, keeps the list of connections', 'blue'),
        ('7', 'seqpacket · stream · dgram · handle', 'what the kinds of sockets differ in', 'blue'),
        ('6', 'channel', 'turns, signals, calls that wait: inlet, outlet, pending', 'blue'),
        ('5', 'socket', 'the descriptor and its one state', 'blue'),
        ('4', 'reactor · option · path', 'epoll and timeouts; typed options; files and locks',
         'green'),
        ('3', 'kernel', 'every system call on a socket, and nothing that emits', 'yellow'),
        ('2', 'message · address', 'bytes, descriptors, credentials; text and addresses', 'box'),
        ('1', 'base', 'types, errors, version', 'box'),
    )
    for i, (number, rooms, what, kind) in enumerate(floors):
        y = 20 + i * 60
        f.text(38, y + 32, number, size=20, color='soft', bold=True)
        f.box(70, y, 330, 50, rooms, kind)
        f.text(420, y + 31, what, size=14, color='soft', anchor='start')
    f.text(430, 655, 'A room includes lower floors only, and a test holds it.', size=14)
    return f


def draw_way(palette):
    f = Figure(860, 420, 'The way of a message', palette)
    f.text(20, 30, 'Out', bold=True, anchor='start')
    f.box(20, 50, 130, 60, 'send()', small='never waits')
    f.box(240, 50, 150, 60, 'Queue', 'yellow', 'up to queue-limit')
    f.box(480, 50, 150, 60, 'Kernel', 'green', 'of this machine')
    f.box(710, 50, 130, 60, 'Peer')
    f.arrow((150, 80), (238, 80), label='if it is full', at=(194, 72))
    f.arrow((390, 80), (478, 80), label='when there is room', at=(434, 132))
    f.arrow((630, 80), (708, 80))
    f.arrow((85, 50), (85, 18), (555, 18), (555, 48), color='green')
    f.text(320, 38, 'at once, where nothing waits before it', size=12.5, color='soft')
    f.arrow((315, 110), (315, 165), (85, 165), (85, 112), color='yellow', dashed=True)
    f.text(200, 185, 'drain: it is empty again', size=12.5, color='soft')
    f.text(20, 240, 'In', bold=True, anchor='start')
    f.box(20, 270, 130, 60, 'Peer')
    f.box(240, 270, 150, 60, 'Kernel', 'green', 'keeps what nobody\nwants yet')
    f.box(450, 270, 130, 60, 'Inbox', 'yellow', 'batches, if many')
    f.arrow((150, 300), (238, 300))
    f.arrow((390, 300), (448, 300))
    for i, (name, what) in enumerate((('receive()', 'first: the oldest that waits'),
                                      ('message', 'with descriptors, credentials'),
                                      ('data', 'the bytes alone'))):
        y = 222 + i * 62
        f.box(640, y, 205, 50, name, 'blue', what)
        f.arrow((580, 300), (638, y + 25))
    f.text(320, 395, 'Nothing is read before somebody wants it: who comes late gets everything.',
           size=14)
    return f


def draw_life(palette):
    f = Figure(860, 400, 'The life of a channel', palette)
    f.box(20, 60, 130, 60, 'New', small='options are kept')
    f.box(250, 60, 140, 60, 'Connecting', 'yellow', 'sends are queued')
    f.box(500, 60, 140, 60, 'Open', 'green', 'messages come')
    f.box(500, 200, 140, 60, 'Peer has ended', 'yellow', 'we may still answer')
    f.box(250, 200, 140, 60, 'Ending', 'yellow', 'the queue leaves')
    f.box(250, 320, 140, 56, 'Closed', 'red', 'single use')
    f.arrow((150, 90), (248, 90), label='connect_to_path()', at=(199, 48))
    f.arrow((390, 90), (498, 90), label='signal connect', at=(444, 48), color='green')
    f.arrow((250, 108), (152, 108), dashed=True)
    f.text(199, 140, 'fails at once: an error,', size=12.5, color='soft')
    f.text(199, 156, 'and it may try again', size=12.5, color='soft')
    f.arrow((570, 120), (570, 198), color='green')
    f.text(582, 163, 'signal end', size=12.5, color='soft', anchor='start')
    f.arrow((500, 230), (392, 230), label='by itself', at=(446, 222))
    f.arrow((500, 112), (392, 204), label='end()', at=(462, 172))
    f.arrow((320, 260), (320, 318))
    f.text(330, 294, 'signal close', size=12.5, color='soft', anchor='start')
    f.arrow((640, 90), (740, 90), (740, 350), (392, 350), color='red')
    f.text(752, 200, 'close(), or', size=12.5, color='soft', anchor='start')
    f.text(752, 216, 'a failure:', size=12.5, color='soft', anchor='start')
    f.text(752, 232, 'signal error,', size=12.5, color='soft', anchor='start')
    f.text(752, 248, 'then close', size=12.5, color='soft', anchor='start')
    f.text(20, 345, 'close comes once, last,', size=13, anchor='start')
    f.text(20, 363, 'and always', size=13, anchor='start')
    return f


def draw_who(palette):
    f = Figure(860, 330, 'Who may call what from where', palette)
    rows = (
        ('The thread that owns it', 'everything', 'everything', 'all signals come here', 'green'),
        ('Another thread', 'post(), numbers and states', 'the last unref', 'no signal', 'yellow'),
        ('A forked child', 'close()', 'sockets of its own', 'no signal of the parent’s', 'yellow'),
        ('A handler', 'everything, close() included', 'a nested main loop',
         'signals after it returns', 'green'),
        ('A finished context', 'nothing: its sockets are closed', '', 'no signal', 'red'),
    )
    for x, head in ((20, 'Where'), (250, 'May call'), (610, 'Hears')):
        f.text(x, 34, head, anchor='start', bold=True)
    for i, (where, calls, more, hears, kind) in enumerate(rows):
        y = 50 + i * 54
        f.box(20, y, 210, 44, where, kind)
        both = f'{calls}; {more}' if more and more != calls else calls
        f.text(250, y + 27, both, anchor='start')
        f.text(610, y + 27, hears, anchor='start', color='soft')
    return f


FIGURES = {'front': draw_front, 'house': draw_house, 'way': draw_way, 'life': draw_life,
           'who': draw_who}


def main():
    problems = 0
    for name, draw in FIGURES.items():
        for suffix, palette in (('', LIGHT), ('-dark', DARK)):
            path, text = HERE / f'{name}{suffix}.svg', draw(palette).write()
            if sys.argv[1:] != ['--check']:
                path.write_text(text, encoding='utf-8')
            elif not path.exists() or path.read_text(encoding='utf-8') != text:
                print(f'{path.name} is not what draw.py draws')
                problems += 1
    sys.exit(problems != 0)


main()
