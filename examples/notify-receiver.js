#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Prints what services tell their manager: notify-receiver.js PATH, which is their NOTIFY_SOCKET

import System from 'system';
import Usock from 'gi://Usock?version=1';

// A service may wait until we close the descriptor that it sends; the signal does so by itself.
const manager = new Usock.Dgram({max_fds: 1, pass_credentials: true});
manager.connect('message', (_manager, message) =>
    print(`${message.get_credentials().get_unix_pid()}: ${message.text}`));
manager.bind(System.programArgs[0]);
Usock.run_until_closed();
