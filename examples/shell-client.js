#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// As an extension of GNOME Shell would use a service: enable() connects, whether it is there or not,
// and again when it was restarted; disable() leaves nothing behind. Here the rest of the file plays
// the Shell: shell-client.js NAME TIMER...

import System from 'system';
import Usock from 'gi://Usock?version=1';

class TimerExtension {
    enable(name) {
        this._client = new Usock.Client({max_delay: 1000});
        this._client.connect('connected', client => {
            client.get_peer().connect('posted', (_peer, _name, message) => {
                const {name: timer, second} = message.body;
                print(`${timer}: ${second} s`);
            });
        });
        this._client.start_for_name(name);
    }

    // What is under way when the service goes, or the extension is disabled, is rejected.
    async start(name) {
        print(await this._client.call('Start', {name, steps: 2}, {timeout: 10000}));
    }

    disable() {
        this._client.stop();
        this._client = null;
    }
}

const [name, ...timers] = System.programArgs;
const extension = new TimerExtension();
extension.enable(name);
for (const timer of timers)
    await extension.start(timer);
extension.disable();
