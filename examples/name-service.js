#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later
// The service of a name; or, with a question, its client.
import System from 'system';
import Usock from 'gi://Usock?version=1';

async function answer(channel) {
    for await (const message of channel)
        channel.send(message.text.toUpperCase());
}

async function ask(name, question) {
    const channel = Usock.Seqpacket.new_for_name(name);
    channel.send(question);
    print((await channel.receive()).text);
    channel.close();
}

const [name, question] = System.programArgs;
if (question === undefined) {
    const server = Usock.Server.new_for_name(name);
    server.connect('connection', (_server, channel) => void answer(channel).catch(logError));
    Usock.run_until_closed();
} else {
    await ask(name, question);
}
