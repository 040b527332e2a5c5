# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""As tls-peer.c: serve PEM PATH, and ask WHERE COUNT AT_ONCE."""

import sys

import gi

gi.require_version('Usock', '1')
from gi.repository import Gio, GLib, Usock  # noqa: E402

QUESTION = 'do geese see gods'


class Conversation:
    """Writes and reads a line by GIO's callbacks, the one after the other."""

    def __init__(self, tls, on_line, on_end):
        self.tls = tls
        self.lines = Gio.DataInputStream.new(tls.get_input_stream())
        self.on_line = on_line
        self.on_end = on_end

    def guarded(self, step):
        def callback(source, result):
            try:
                step(source, result)
            except Exception as error:  # Whatever it is ends the conversation.
                self.on_end(error)
        return callback

    def say(self, text, then):
        data = GLib.Bytes.new(text.encode() + b'\n')
        self.tls.get_output_stream().write_bytes_async(
            data, 0, None, self.guarded(lambda out, result: (out.write_bytes_finish(result), then())))

    def listen(self):
        self.lines.read_line_async(
            0, None, self.guarded(lambda _lines, result: self.on_line(
                self, self.lines.read_line_finish_utf8(result)[0])))

    def close(self):
        # It has a method of that name for datagrams, too.
        Gio.IOStream.close_async(self.tls, 0, None, self.guarded(lambda tls, result: (
            Gio.IOStream.close_finish(tls, result), self.on_end(None))))


def report(error):
    if error is not None:
        print(error, file=sys.stderr)


def serve(pem, path):
    certificate = Gio.TlsCertificate.new_from_file(pem)

    def on_end(error):
        # Who has the answer may be gone.
        if not isinstance(error, GLib.Error) or not error.matches(
                Gio.io_error_quark(), Gio.IOErrorEnum.BROKEN_PIPE):
            report(error)

    def on_connection(_server, channel):
        connection, _ = channel.steal_connection()
        tls = Gio.TlsServerConnection.new(connection, certificate)
        Conversation(tls, lambda talk, line: talk.say(line[::-1], talk.close), on_end).listen()

    server = Usock.Server(socket_type=Gio.SocketType.STREAM)
    server.connect('connection', on_connection)
    server.listen(path)
    GLib.MainLoop().run()


class Asker:
    def __init__(self, where, count):
        self.where = where
        self.n_left = count
        self.n_running = 0
        self.n_failed = 0

    def ask(self):
        self.n_left -= 1
        self.n_running += 1
        Usock.spawn(self.connect())

    async def connect(self):
        stream = Usock.Stream()
        try:
            if '/' in self.where:
                await stream.open(self.where)
            else:
                await stream.open_host('127.0.0.1', int(self.where))
            connection, _ = stream.steal_connection()
            tls = Gio.TlsClientConnection.new(connection, None)
            tls.connect('accept-certificate', lambda *_: True)
            talk = Conversation(tls, self.on_line, self.on_end)
            talk.say(QUESTION, talk.listen)
        except GLib.Error as error:
            self.on_end(error)

    def on_line(self, talk, line):
        if line != QUESTION[::-1]:
            raise ValueError(f'the answer is {line}')
        talk.close()

    def on_end(self, error):
        report(error)
        self.n_failed += error is not None
        self.n_running -= 1
        if self.n_left > 0:
            self.ask()


def main(job, where, *arguments):
    if job == 'serve':
        serve(where, *arguments)
    asker = Asker(where, int(arguments[0]))
    for _ in range(int(arguments[1])):
        asker.ask()
    while asker.n_running > 0:
        GLib.MainContext.default().iteration(True)
    sys.exit(asker.n_failed > 0)


main(*sys.argv[1:])
