# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the tests of calls that fail share: which, how and when, and handlers that throw."""

import errno
import sys

import gi

import fixture
from fixture import Usock, wait_for

gi.require_version('UsockFaults', '1')
from gi.repository import UsockFaults  # noqa: E402

SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS, errno.EINTR)
# shutdown(2) needs nothing that could be short.
CALLS = ('socket', 'socketpair', 'bind', 'listen', 'accept', 'connect', 'send', 'receive',
         'getsockopt', 'setsockopt', 'getsockname')
WHEN = ((1, 0), (2, 0), (3, 2))


class Throwing(fixture.Case):
    def setUp(self):
        super().setUp()
        self.thrown, self.seen = [], []
        self.addCleanup(setattr, sys, 'excepthook', sys.excepthook)
        sys.excepthook = lambda *error: self.seen.append(str(error[1]))
        self.addCleanup(UsockFaults.clear)

    def tearDown(self):
        # Python keeps the last traceback, and with it a socket.
        sys.last_type = sys.last_value = sys.last_traceback = sys.last_exc = None
        super().tearDown()

    def throw(self, what):
        self.thrown.append(f'{what} {len(self.thrown)}')
        raise RuntimeError(self.thrown[-1])

    def check_all(self, check, call):
        """Each exception of a handler is reported once."""
        for number in SHORTAGES:
            for when in WHEN:
                fault = (call, number, *when)
                with self.subTest(fault=fault):
                    check(fault)
                UsockFaults.clear()
                while self._sockets:
                    self._sockets.pop().close()
                wait_for(lambda: Usock.count_held(None) == 0)
                self.assertEqual(self.seen, self.thrown)
