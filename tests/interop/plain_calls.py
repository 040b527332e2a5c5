# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""A client for calls that knows nothing but doc/peer-protocol.md and Python's socket module."""

import socket
import struct

HEADER = struct.Struct('<BBBBIIiQHBBI')
CALL, REPLY, ERROR, CANCEL, POST, PIECE, REPLY_PIECE = range(1, 8)
NONE, BYTES, TEXT, VALUE = range(4)
PIECE_SIZE = 100000


class Peer:
    def __init__(self, path, kind):
        self.socket = socket.socket(socket.AF_UNIX, kind)
        self.socket.connect(path)
        self.serial, self.data, self.fds = 0, b'', []

    def send(self, type_, serial, kind=NONE, name='', signature='', body=b'', fds=(), code=0):
        name, signature = name.encode(), signature.encode()
        now, later = (body, b'') if len(body) <= PIECE_SIZE else (b'', body)
        head = name + signature + now
        header = HEADER.pack(1, type_, kind, 0, HEADER.size + len(head), serial, code, len(body),
                             len(name), len(signature), len(fds), 0)
        socket.send_fds(self.socket, [header + head], fds)
        for at in range(0, len(later), PIECE_SIZE):
            part = later[at:at + PIECE_SIZE]
            self.socket.sendall(HEADER.pack(1, REPLY_PIECE if type_ == REPLY else PIECE, 0, 0,
                                            HEADER.size + len(part), serial, 0, at, 0, 0, 0, 0) + part)

    def frame(self):
        while len(self.data) < 8 or len(self.data) < struct.unpack_from('<I', self.data, 4)[0]:
            data, fds, _, _ = socket.recv_fds(self.socket, 262144, 253)
            if not data:
                raise EOFError
            self.data, self.fds = self.data + data, self.fds + fds
        _, type_, kind, _, length, serial, code, size, n_name, n_signature, _, _ = \
            HEADER.unpack_from(self.data)
        rest, self.data = self.data[HEADER.size:length], self.data[length:]
        return type_, serial, kind, code, size, rest[:n_name].decode(), rest[n_name + n_signature:]

    def call(self, name, body=b'', kind=BYTES, signature='', fds=()):
        self.serial += 1
        self.send(CALL, self.serial, kind, name, signature, body, fds)
        got, whole = None, 0
        while True:
            type_, serial, kind, code, size, told, part = self.frame()
            if type_ == CALL:  # What the other side asks is what it gets.
                self.send(REPLY, serial, kind, body=part)
            elif serial == self.serial and type_ == ERROR:
                raise OSError(code, told, part.decode())
            elif serial == self.serial and type_ in (REPLY, REPLY_PIECE):
                got, whole = (got or b'') + part, size if type_ == REPLY else whole
                if len(got) == whole:
                    return got
