# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the Python tests share: tap.main() runs the unittest cases of a script and reports in TAP.

Whoever hangs ends the script after 60 seconds (30 times that under valgrind) with a traceback.
"""

import contextlib
import faulthandler
import os
import sys
import traceback
import unittest

from gi.repository import GLib

PATIENCE = 60 * (30 if 'USOCK_TEST_SLOW' in os.environ else 1)


class TapResult(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self._test = test
        self._problems = []
        self._comment = ''
        # Where exceptions of signal handlers end, which nobody else would notice.
        sys.excepthook = self._unhandled
        faulthandler.dump_traceback_later(PATIENCE, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        sys.excepthook = sys.__excepthook__
        for line in ''.join(self._problems).splitlines():
            print('#', line)
        verdict = 'not ok' if self._problems else 'ok'
        print(f'{verdict} {self.testsRun} {test.id()}{self._comment}', flush=True)
        super().stopTest(test)

    def _unhandled(self, *err):
        problem = ''.join(traceback.format_exception(*err))
        self._problems.append(problem)
        self.errors.append((self._test, problem))

    def addError(self, test, err):
        super().addError(test, err)
        self._problems.append(self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._problems.append(self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._problems.append(f'{subtest.id()}\n{self._exc_info_to_string(err, test)}')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._comment = f' # SKIP {reason}'


@contextlib.contextmanager
def expect_critical(pattern):
    """Misuse is a critical, which is fatal anywhere else."""
    GLib.test_expect_message('Usock', GLib.LogLevelFlags.LEVEL_CRITICAL, pattern)
    yield
    GLib.test_assert_expected_messages_internal('Usock', 'test', 0, 'expect_critical')


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__'])
    print(f'1..{suite.countTestCases()}', flush=True)
    result = suite.run(TapResult())
    sys.exit(0 if result.wasSuccessful() else 1)
