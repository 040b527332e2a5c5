# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Calls that fail while the handlers of a script throw.

Each call of the system fails in each way that is short of something, once or again and again, in the
middle of a conversation in which every kind of handler throws. No message is missing or comes twice
where nobody was told of an error, each exception is reported once, and who listens goes on.
"""

import tap
from faults import CALLS, Throwing, UsockFaults
from fixture import Gio, GLib, Usock, wait_for

KINDS = {Usock.Seqpacket: Gio.SocketType.SEQPACKET, Usock.Stream: Gio.SocketType.STREAM}
MESSAGES = [f'{i};'.encode() for i in range(30)]
ALL = b''.join(MESSAGES)


class Party:
    """What one of those who talk has heard, whose handlers throw now and then."""

    def __init__(self, case, channel):
        self.case, self.channel = case, channel
        self.heard = b''
        self.errors, self.ends, self.closes = 0, 0, 0
        channel.connect('error', self.on_error)
        channel.connect('end', self.on_end)
        channel.connect('close', self.on_close)

    def hear(self, data):
        before = self.heard.count(b';')
        self.heard += bytes(data)
        if before // 3 != self.heard.count(b';') // 3:
            self.case.throw('hear')

    def on_error(self, _channel, _error):
        self.errors += 1
        self.case.throw('error')

    def on_end(self, _channel):
        self.ends += 1
        self.case.throw('end')

    def on_close(self, _channel):
        self.closes += 1
        self.case.throw('close')

    def send(self, data, **more):
        """A gap would be a lost message: who can not send one sends no others."""
        try:
            self.channel.send(data, **more)
        except GLib.Error as error:
            self.channel.destroy(error)
            raise


class Echo(Party):
    def __init__(self, case, channel):
        super().__init__(case, channel)
        channel.connect('message', self.on_message)

    def on_message(self, _channel, message):
        try:
            self.send(message.data)
        except GLib.Error as error:
            self.case.thrown.append(str(error))
            raise
        self.hear(message.data)


class Asker(Party):
    def __init__(self, case, channel):
        super().__init__(case, channel)
        channel.connect('data', lambda _channel, data: self.hear(data))

    def ask(self, path):
        """False if one could not begin."""
        try:
            self.channel.connect_to_path(path)
        except GLib.Error:
            self.case.assertEqual(self.channel.get_state(), Usock.State.NEW)
            return False
        try:
            for i, data in enumerate(MESSAGES):
                self.send(data, fds=[2] if i % 5 == 0 else [])
            self.channel.end()
        except GLib.Error:
            pass
        wait_for(lambda: self.closes)
        return True

    def judge(self):
        case = self.case
        case.assertEqual(self.closes, 1)
        case.assertLessEqual(self.errors, 1)
        case.assertLessEqual(self.ends, 1)
        case.assertTrue(ALL.startswith(self.heard), self.heard)
        if not self.errors:
            case.assertEqual(self.heard, ALL)


class TestConnections(Throwing):
    def setUp(self):
        super().setUp()
        self.echoes = []

    def tearDown(self):
        self.echoes.clear()
        super().tearDown()

    def echo(self, channel):
        self.echoes.append(Echo(self, channel))
        self.throw('connection')

    def converse(self, kind, path):
        asker = Asker(self, self.keep(kind()))
        begun = asker.ask(path)
        asker.channel.close()
        return asker, begun

    def check(self, kind, fault):
        self.echoes.clear()
        server = self.keep(Usock.Server(socket_type=KINDS[kind], max_fds=4))
        server.connect('connection', lambda _server, channel: self.echo(channel))
        server.connect('error', lambda _server, _error: self.throw('server'))
        path = f'{self.directory}/{kind.__name__}-{"-".join(map(str, fault))}'
        UsockFaults.add(*fault)
        try:
            server.listen(path)
        except GLib.Error:
            UsockFaults.clear()
            server.listen(path)
        asker, begun = self.converse(kind, path)
        UsockFaults.clear()
        if begun:
            asker.judge()
        asker, begun = self.converse(kind, path)
        self.assertTrue(begun)
        self.assertEqual(asker.heard, ALL)
        server.close()
        wait_for(lambda: all(echo.closes for echo in self.echoes))
        for echo in self.echoes:
            self.assertTrue(ALL.startswith(echo.heard), echo.heard)
            self.assertEqual(echo.closes, 1)

def add(kind, call):
    setattr(TestConnections, f'test_{call}_of_a_{kind.__name__.lower()}',
            lambda self: self.check_all(lambda fault: self.check(kind, fault), call))


for each in KINDS:
    for one in CALLS:
        add(each, one)

tap.main()
