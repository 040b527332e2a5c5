// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// An open socket keeps itself alive; scripts derive classes; interpreters exit.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import GObject from 'gi://GObject';
import System from 'system';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run, throws} from './tap.js';
import {Log, testSocket, text, turns, waitFor} from './fixture.js';

function collect() {
    for (let i = 0; i < 3; i++) {
        System.gc();
        turns();
    }
}

testSocket('an open socket keeps itself alive', async () => {
    const got = [];
    const sender = (() => {
        const [first, second] = Usock.Seqpacket.pair();
        second.connect('data', (_channel, data) => void got.push(text(data)));
        second.connect('close', () => void got.push('close'));
        return first;
    })();
    collect();
    sender.send('x');
    await waitFor(() => got.length);
    collect();
    sender.close();
    await waitFor(() => got.length === 2);
    equal(got, ['x', 'close']);
});

testSocket('paused too', async () => {
    const got = [];
    let resume = null;
    const sender = (() => {
        const [first, second] = Usock.Seqpacket.pair();
        second.connect('data', (channel, data) => {
            got.push(text(data));
            channel.pause();
            resume = () => channel.resume();
        });
        return first;
    })();
    sender.send('one');
    await waitFor(() => got.length === 1);
    sender.send('two');
    collect();
    equal(got, ['one']);
    resume();
    await waitFor(() => got.length === 2);
    sender.close();
    resume();
});

testSocket('a listening server keeps itself alive', async fixture => {
    let closeServer = null;
    (() => {
        const server = new Usock.Server();
        server.connect('connection', (self, channel) => {
            channel.connect('data', (_channel, data) => channel.send(data));
            closeServer = () => self.close();
        });
        server.listen(fixture.path);
    })();
    collect();
    const client = fixture.keep(new Usock.Seqpacket());
    const log = new Log(client, 'data');
    client.connect_to_path(fixture.path);
    client.send('x');
    await log.wait('data');
    closeServer();
});

testSocket('properties of a script stay on an open socket', async fixture => {
    const [first, second] = fixture.pair();
    const log = [];
    second.heard = [];
    second.connect('data', channel => void log.push(channel.heard));
    collect();
    first.send('x');
    await waitFor(() => log.length);
    equal(log, [[]]);
});

testSocket('many, closed and dropped', async () => {
    for (let i = 0; i < 1000; i++) {
        const [first, second] = Usock.Seqpacket.pair();
        second.connect('close', () => {});
        first.send('x');
        first.close();
        second.close();
    }
    await waitFor(() => true);
});

testSocket('many that only the collector knows', async fixture => {
    // Never connected, or closed by the peer: nobody calls close() on them.
    fixture.serve(channel => channel.end());
    let closed = 0;
    for (let i = 0; i < 300; i++) {
        void new Usock.Seqpacket();
        const client = new Usock.Seqpacket();
        client.connect('data', () => {});
        client.connect('close', () => closed++);
        client.connect_to_path(fixture.path);
    }
    await waitFor(() => closed === 300);
});

const Shouting = GObject.registerClass({
    Signals: {'shouted': {param_types: [GObject.TYPE_STRING]}},
    Properties: {
        'volume': GObject.ParamSpec.int('volume', null, null, GObject.ParamFlags.READWRITE, 0, 9, 1),
    },
}, class Shouting extends Usock.Seqpacket {
    _init(properties = {}) {
        super._init(properties);
        this.heard = [];
        this.connect('data', (_channel, data) => {
            this.heard.push(text(data));
            this.emit('shouted', text(data).toUpperCase());
        });
    }
});

const CountingServer = GObject.registerClass(class CountingServer extends Usock.Server {
    _init(properties = {}) {
        super._init(properties);
        this.count = 0;
        this.connect('connection', (_server, channel) => channel.send(`number ${++this.count}`));
    }
});

testSocket('classes of ones own', async fixture => {
    const server = fixture.keep(new CountingServer());
    server.listen(fixture.path);
    const channel = fixture.keep(new Shouting({volume: 3, max_fds: 2}));
    const log = new Log(channel, 'shouted');
    channel.connect_to_path(fixture.path);
    await log.wait('shouted');
    equal(log.slice(0, 1).map(([, word]) => word), ['NUMBER 1']);
    equal([channel.heard, channel.volume, channel.max_fds], [['number 1'], 3, 2]);
    equal(server.count, 1);
    collect();
    ok(channel instanceof Usock.Channel, 'instanceof');
});

testSocket('abstract bases', async () => {
    throws(() => new Usock.Socket(), Error);
    throws(() => new Usock.Channel(), Error);
});

// Runs a script in a process of its own; a critical at exit would be about an engine that is gone.
function runScript(script, path) {
    return runProgram(['-c', `
        const {Gio, GLib, Usock} = imports.gi;
        const path = ARGV[0];
        const context = GLib.MainContext.default();
        ${script}`, path]);
}

// In a module there may be an await at the top.
function runModule(script, path) {
    GLib.file_set_contents(`${path}.js`, `const {GLib, Usock} = imports.gi;\n${script}`);
    return runProgram(['-m', `${path}.js`, path]);
}

async function runProgram(argv) {
    const launcher = Gio.SubprocessLauncher.new(
        Gio.SubprocessFlags.STDOUT_PIPE | Gio.SubprocessFlags.STDERR_PIPE);
    launcher.setenv('G_DEBUG', 'fatal-criticals', true);
    const child = launcher.spawnv(['gjs', ...argv]);
    const [output, errors] = await new Promise((resolve, reject) => {
        child.communicate_utf8_async(null, null, (self, result) => {
            try {
                resolve(self.communicate_utf8_finish(result).slice(1));
            } catch (error) {
                reject(error);
            }
        });
    });
    const status = child.get_if_exited() ? child.get_exit_status() : -child.get_term_sig();
    return {output, errors, status};
}

const OPEN = `
    let over = false;
    let server = new Usock.Server();
    const accepted = [];
    server.connect('connection', (_server, channel) => void accepted.push(channel));
    server.listen(path);
    let clients = Array.from({length: 50}, () => new Usock.Seqpacket());
    for (const client of clients) {
        client.connect_to_path(path);
        client.connect('data', () => {});
        client.connect('close', () => over || print('never'));
    }
    while (accepted.length < 50)
        context.iteration(true);
    accepted.forEach(channel => channel.send('unread'));
`;

testSocket('exit with open sockets', async fixture => {
    for (const end of [
        '', 'imports.system.exit(0)', 'server = clients = null; imports.system.gc()',
        'accepted[0].receive()', 'accepted[0].receive_async(null, () => print("never"))',
        '(async () => { for await (const m of accepted[0]) print("never"); })()',
        'over = true; clients.forEach(client => client.close())',
    ]) {
        const {status, output, errors} = await runScript(OPEN + end, fixture.path);
        equal([status, output, errors], [0, '', ''], end);
    }
});

testSocket('exit inside a handler', async fixture => {
    const {status, errors} = await runScript(`${OPEN}
        accepted[1].connect('data', () => imports.system.exit(3));
        clients[1].send('exit');
        for (;;)
            context.iteration(true);`, fixture.path);
    equal([status, errors], [3, '']);
});

// In a process of its own, without promises: their frames hold what they held for a while.
testSocket('closed sockets are collected', async fixture => {
    const {status, output, errors} = await runScript(`
        const System = imports.system;
        const turn = () => {
            for (let i = 0; i < 20; i++)
                context.iteration(false);
        };
        const nEpolls = () => {
            const children = Gio.File.new_for_path('/proc/self/fd').enumerate_children(
                'standard::symlink-target', Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, null);
            let n = 0;
            for (let info = children.next_file(null); info; info = children.next_file(null))
                n += info.get_symlink_target() === 'anon_inode:[eventpoll]';
            children.close(null);
            return n;
        };
        (function () {
            const server = new Usock.Server();
            server.connect('connection', (self, channel) => {
                // Cycles: the handlers refer to the objects that they are connected to.
                channel.connect('data', (_channel, data) => channel.send(data));
                channel.connect('message', () => server.close());
                channel.receive_async(null, () => channel.mark);
                channel.mark = channel;
            });
            server.listen(path);
            const client = new Usock.Seqpacket();
            client.connect('data', () => client.close());
            client.connect_to_path(path);
            client.send('awaited');
            client.send('signalled');
            turn();
            print(client.state === Usock.State.CLOSED, server.active, nEpolls());
        })();
        for (let i = 0; i < 5; i++) {
            System.gc();
            turn();
        }
        print(nEpolls());`, fixture.path);
    equal([status, output, errors], [0, 'true false 1\n0\n', '']);
});

testSocket('run_until_closed', async fixture => {
    const {status, output, errors} = await runScript(`
        const [first, second] = Usock.Seqpacket.pair();
        const unheld = Usock.Seqpacket.pair();
        unheld.forEach(channel => (channel.held = false));
        second.connect('data', (channel, data) => {
            print(data.length);
            channel.close();
        });
        first.send('x');
        Usock.run_until_closed();
        print('done', first.state === Usock.State.CLOSED, unheld[0].state === Usock.State.OPEN);
    `, fixture.path);
    equal([status, output, errors], [0, '1\ndone true true\n', '']);
});

// A server that awaits, for a client that awaits, in one script.
const CONVERSATION = `
    const server = new Usock.Server();
    server.listen(ARGV[0]);
    server.connect('connection', async (_server, channel) => {
        for await (const message of channel)
            channel.send(message.text.toUpperCase());
        server.close();
    });
    async function ask(text) {
        const channel = await new Usock.Seqpacket().open(ARGV[0]);
        channel.send(text);
        print((await channel.receive()).text);
        channel.close();
    }`;

testSocket('run_until_closed lets promises settle', async fixture => {
    for (const start of ["ask('hello');", `
        GLib.idle_add(GLib.PRIORITY_DEFAULT, () => {
            ask('hello');
            Usock.run_until_closed();
            return GLib.SOURCE_REMOVE;
        });`]) {
        const {status, output, errors} = await runModule(
            `${CONVERSATION} ${start} Usock.run_until_closed(); print('done');`, fixture.path);
        equal([status, output, errors], [0, 'HELLO\ndone\n', ''], start);
    }
});

testSocket('run_until_closed refuses where they would not settle', async fixture => {
    for (const run of ['Usock.run_until_closed();', '(() => Usock.run_until_closed())();']) {
        const {status, output, errors} = await runModule(`${CONVERSATION}
            const closed = new Promise(resolve => server.connect('close', resolve));
            await new Promise(resolve => GLib.idle_add(GLib.PRIORITY_DEFAULT, () => resolve()));
            try {
                ${run}
            } catch (error) {
                print(error.message);
            }
            await ask('hello');
            await closed;
            print('done');`, fixture.path);
        const lines = output.trim().split('\n');
        equal([status, lines.slice(1), errors], [0, ['HELLO', 'done'], ''], run);
        ok(/after an await/.test(lines[0]), lines[0]);
    }
});

run();
