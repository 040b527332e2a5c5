# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""socat is the other side of streams, as a client and as a server: it returns what it gets."""

from interop import expect_success, need, peer, run, start, wait_for_listener

SOCAT = need('socat')
EXCHANGE = ['exchange', 400, 400000, 0, 16]


def returning(address):
    return start(SOCAT, '-t', 10, address, 'EXEC:cat')


def socat_listens(path):
    with returning(f'UNIX-LISTEN:{path}') as socat:
        wait_for_listener(path)
        with start(peer, 'connect', path, *EXCHANGE) as client:
            expect_success(client)
            expect_success(socat)


def socat_connects(path):
    with start(peer, 'listen', path, *EXCHANGE) as server:
        wait_for_listener(path)
        with returning(f'UNIX-CONNECT:{path}') as socat:
            expect_success(server)
            expect_success(socat)


run(socat_listens, socat_connects)
