#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// As an extension of GNOME Shell would use a service: enable() connects, disable() leaves nothing
// behind. Here main() plays the Shell: shell-client.js NAME TIMER

import System from 'system';
import Usock from 'gi://Usock?version=1';

class TimerExtension {
    enable(name) {
        this._channel = Usock.Seqpacket.new_for_name(name);
        this._peer = new Usock.Peer(this._channel);
        this._peer.connect('posted', (_peer, _name, message) => {
            const {name: timer, second} = message.body;
            print(`${timer}: ${second} s`);
        });
    }

    // What is under way when the extension is disabled is rejected.
    async start(name) {
        print(await this._peer.call('Start', {name, steps: 2}, {timeout: 10000}));
    }

    disable() {
        this._channel.close();
        this._peer = this._channel = null;
    }
}

const [name, timer] = System.programArgs;
const extension = new TimerExtension();
extension.enable(name);
await extension.start(timer);
extension.disable();
