# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What is no text is no text to anybody: each call that takes some raises a TypeError, whatever the
version of PyGObject would make of it. test_text.py API.JSON"""

import inspect
import json
import sys

import fixture
import tap
from fixture import Gio, GLib, Usock

with open(sys.argv.pop(), encoding='utf-8') as file:
    API = json.load(file)
NO_TEXTS = [None, 5, True, {}, object(), ['text']]
LEAVES = {'Channel': Usock.Seqpacket, 'Dgram': Usock.Dgram, 'Handle': Usock.Handle,
          'Seqpacket': Usock.Seqpacket, 'Server': Usock.Server, 'Stream': Usock.Stream}
STAND_INS = {'Message': lambda: Usock.Message(b'x'), '[guint8]': lambda: b'x',
             'Gio.SocketFamily': lambda: Gio.SocketFamily.INVALID}


def is_text(parameter):
    return parameter['type'] in ('utf8', 'filename', '[utf8]')


def texts():
    for entry in [*API['classes'], {'name': None, 'callables': API['functions']}]:
        for each in entry['callables']:
            for index, parameter in enumerate(each['parameters']):
                if is_text(parameter):
                    yield entry['name'], each, index


class TestText(fixture.Case):
    def refuses(self, call, *args):
        with self.assertRaises(TypeError):
            result = call(*args)
            if inspect.isawaitable(result):
                Usock.run(result)

    def owner(self, class_name, kind):
        if class_name is None:
            return Usock
        if class_name == 'Peer':
            return Usock.Peer(self.keep(Usock.Seqpacket()))
        if class_name == 'Client':
            return Usock.Client()
        return (self.keep(LEAVES[class_name]()) if kind == 'method' else getattr(Usock, class_name))

    def test_whatever_takes_text(self):
        for class_name, each, index in texts():
            parameters = [parameter for parameter in each['parameters']
                          if parameter['name'] not in ('cancellable', 'callback')]
            for value in NO_TEXTS[1:] if parameters[index]['nullable'] else NO_TEXTS:
                args = [STAND_INS.get(parameter['type'], int)() for parameter in parameters]
                args[index] = [value] if parameters[index]['type'] == '[utf8]' else value
                with self.subTest(of=class_name, name=each['name'], value=value):
                    call = getattr(self.owner(class_name, each['kind']), each['name'])
                    self.refuses(call, *args)

    def test_places(self):
        """Those that take a text or something else besides."""
        places = (
            Usock.Seqpacket().open, lambda where: Usock.Stream().open_host(where, 1),
            Usock.Dgram().bind, lambda where: Usock.Dgram().send_to(b'x', where),
            lambda where: Usock.Dgram().send_to(b'x', where, fds=[]),
            lambda where: Usock.Dgram().send_to_async(b'x', where),
            Usock.Handle.connected, Usock.Handle.listening, Usock.Server().listen)
        for place in places:
            for value in (None, 5, True, {}):
                with self.subTest(place=place, value=value):
                    self.refuses(place, value)


tap.main()
