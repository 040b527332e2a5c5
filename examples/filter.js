#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Has the kernel drop messages: filter.js CHARACTER TEXT..., prints those that begin with it

import System from 'system';
import Usock from 'gi://Usock?version=1';

// As tcpdump -dd writes it: code, where to go if it is so, where if not, operand.
const LOAD_BYTE = 0x30, JUMP_IF_EQUAL = 0x15, RETURN = 0x06;

const [character, ...texts] = System.programArgs;
const [sender, receiver] = Usock.Seqpacket.pair();
receiver.set_option(Usock.Level.SOCKET, Usock.SocketOption.ATTACH_FILTER, [
    [LOAD_BYTE, 0, 0, 0],
    [JUMP_IF_EQUAL, 0, 1, character.charCodeAt(0)],
    [RETURN, 0, 0, 0xffffffff],
    [RETURN, 0, 0, 0],
]);
receiver.connect('data', (_receiver, data) => print(new TextDecoder().decode(data)));
for (const text of texts)
    sender.send(text);
sender.end();
Usock.run_until_closed();
