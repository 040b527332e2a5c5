// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Everything that a script can call is called with odd values, on objects in every state. The
// process neither crashes nor hangs nor keeps a descriptor, and what it says on its way are errors.
// A batch of calls is a process of its own, which prints each call before it is made:
//
//     test-abuse.js API.json walk CLASS SEED      each callable in half of the states
//     test-abuse.js API.json mix CALLS SEED       calls, signals, peers in any order
//
// USOCK_TEST_SEED=N begins with another seed, USOCK_TEST_LONG=1 makes many more batches.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';
import Usock from 'gi://Usock?version=1';

import {CLASSES, Stage, tolerate} from './abuse.js';
import {closeFd, openFds} from './fixture.js';
import {run, test} from './tap.js';

const LONG = GLib.getenv('USOCK_TEST_LONG') === '1';
const SLOW = GLib.getenv('USOCK_TEST_SLOW') ? 30 : 1;
const SEED = Number(GLib.getenv('USOCK_TEST_SEED') ?? (LONG ? Math.floor(Date.now() / 1000) : 1));
const [API_PATH] = ARGV;
const API = JSON.parse(new TextDecoder().decode(GLib.file_get_contents(API_PATH)[1]));

// Memory is the binding's business.
const LEFT_OUT = ['ref', 'unref', 'run_until_closed', 'poll', 'spawn'];
const TAKES_FD = ['new_from_fd', 'new_from_bound_fd', 'append_fd_owned', 'listen_on_fd'];
const GIVES_FD = ['take_fd', 'dup_pidfd', 'dup_peer_pidfd', 'open_reuse_port_fd'];

// The mistakes of a program of which there is no error to tell; test_abuse.py has the reasons.
const MISUSE = ['usock_operation_propagate', 'usock_packet_address_new',
    'usock_packet_address_new_for_interface', 'usock_message_append_bytes',
    'usock_message_append_message',
    'usock_message_set_credentials', 'usock_server_set_channel_type', 'usock_client_new',
    'usock_peer_new', 'usock_peer_handle', 'usock_peer_handle_with_closure',
    'usock_peer_set_max_calls'];
const CRITICAL = /Usock-CRITICAL \*\*: [\d:.]+: (\w+): assertion /;
const COMPLAINT = /(CRITICAL|WARNING) \*\*|^\d+ FAILED|runtime error|ERROR: /;
// Of a property that was set, GObject says so itself; of numbers that GJS rounds, GJS.
const NOT_OURS = /is invalid or out of range for property|can not be represented|cannot be safely/;

// What the overrides add or change, where the parameters are not those in the GIR.
const ADDED = {
    Socket: {set_option: ['level', 'option', 'value']},
    Channel: {
        send: ['data', 'options'], send_async: ['data', 'options'], open: ['where', 'cancellable'],
        receive: ['cancellable'], flush: ['cancellable'], send_messages: ['messages'],
        close_gracefully: ['number', 'cancellable'], send_with_fds: ['data', 'fds'],
    },
    Dgram: {
        bind: ['where'], send_to: ['data', 'destination', 'options'],
        send_to_async: ['message', 'destination', 'options'],
    },
    Handle: {
        bind: ['where'], open: ['where', 'timeout'], send: ['data', 'options'],
        sendmsg: ['message', 'options'], receive: ['max_size', 'options'],
        recvmsg: ['max_size', 'options'], recvmsg_into: ['buffer', 'options'],
    },
    Server: {listen: ['where', 'number'], broadcast: ['data', 'options']},
    Message: {append_control: ['level', 'option', 'value']},
    Peer: {
        call: ['name', 'body', 'wait'], post: ['name', 'body', 'signature'],
        handle: ['name', 'handler'],
    },
    Call: {reply: ['body', 'signature'], reply_error: ['error']},
    Client: {
        start: ['where'], send: ['data', 'options'], send_async: ['data', 'options'],
        connected: ['wait'], call: ['name', 'body', 'wait'], handle: ['name', 'handler'],
    },
};

const POLL = ['items', 'timeout', 'cancellable'];

function valueFor(stage, name, type) {
    const {chance} = stage;
    const byName = {
        buffer: () => new Uint8Array(chance.choice([0, 1, 70_000])), path: () => stage.path(),
        data: () => stage.data(), fd: () => stage.fd(), host: () => stage.host(),
        fds: () => chance.several([0, 1, 2, 3], () => stage.fd()), timeout: () => stage.timeout(),
        sizes: () => chance.several([0, 1, 3], () => stage.size()), max_size: () => stage.size(),
        n_bytes: () => stage.size(), cancellable: () => stage.cancellable(),
        messages: () => chance.several([0, 1, 3, 70], () => stage.message()),
        message: () => stage.message(),
        destinations: () => chance.several([0, 1, 5], () => stage.text()),
        where: () => chance.below(2) ? stage.path() : stage.address(),
        destination: () => chance.below(2) ? stage.text() : stage.address(),
        value: () => stage.variant(), level: () => stage.option(), option: () => stage.option(),
        options: () => stage.options(), error: () => stage.error(), callback: () => callback(stage),
        items: () => stage.sockets().slice(0, chance.below(4))
            .map(socket => chance.below(2) ? socket : [socket, stage.number()]),
        context: () => null,
        handler: () => chance.choice([() => null, body => body, () => Promise.resolve(7), null]),
        closure: () => () => null, channel: () => chance.choice([...stage.sockets(), null]),
        channel_type: () => chance.choice(CLASSES),
        body: () => chance.choice([stage.text(), stage.variant(), stage.number(), stage.message()]),
        signature: () => chance.choice([undefined, {signature: 's'}, {signature: 'none'}, 7]),
        wait: () => ({timeout: stage.timeout(), cancellable: stage.cancellable()}),
        hardware_address: () => new Uint8Array(chance.choice([0, 6, 300])),
    };
    const byType = {
        'utf8': () => stage.text(), 'filename': () => stage.path(),
        'GLib.Bytes': () => stage.data(), 'GLib.Variant': () => stage.variant(),
        'Message': () => stage.message(),
        'Gio.Credentials': () => new Gio.Credentials(), 'Gio.SocketAddress': () => stage.address(),
        'Gio.InetSocketAddress': () => stage.address(),
        'Gio.SocketConnectable': () => stage.address(), 'gboolean': () => chance.below(2) === 1,
        'Gio.AsyncResult': () => chance.choice([...stage.results, null]),
        'Gio.SocketType': () => chance.below(4),
        'Gio.SocketFamily': () => chance.choice([0, 1, 2, 10]),
        'MsgFlags': () => chance.choice([0, 0, 1, 2, 32, 64, 128, 256, 1 << 13, 1 << 26]),
        'Shut': () => chance.below(3), 'AllowedUsers': () => chance.below(3),
        'SlowReaders': () => chance.below(3),
    };
    if (name === 'name' && type === undefined)
        return chance.choice(['Any', 'Echo', stage.text()]);
    if (name === 'name' && type !== 'utf8')
        return stage.option();
    return (byName[name] ?? byType[type] ?? (() => stage.number()))();
}

// Finishes, or does not, or as if it had been another call.
function callback(stage) {
    if (stage.chance.below(5) === 0)
        return null;
    return (source, result) => {
        stage.results.push(result);
        for (const name of ['receive_finish', 'flush_finish', 'connect_finish', 'end_finish',
            'send_message_finish', 'receive_line_finish', 'close_gracefully_finish']) {
            const message = stage.chance.below(6) === 0 && tolerate(() => source[name]?.(result));
            if (message instanceof Usock.Message)
                stage.add(message);
        }
    };
}

function entryOf(name) {
    return API.classes.find(entry => entry.name === name);
}

function lineage(cls) {
    const found = [];
    for (let entry = entryOf(cls.name.replace('Usock_', '')); entry; entry = entryOf(entry.parent))
        found.push(entry);
    return found;
}

function callablesOf(cls) {
    const found = new Map();
    for (const entry of lineage(cls)) {
        const added = ADDED[entry.name] ?? {};
        for (const {name, kind, parameters} of entry.callables) {
            const own = added[name]?.map(each => ({name: each})) ?? parameters;
            if (!found.has(name))
                found.set(name, {name, kind, parameters: own});
        }
        for (const [name, parameters] of Object.entries(added)) {
            if (!found.has(name)) {
                found.set(name,
                    {name, kind: 'method', parameters: parameters.map(each => ({name: each}))});
            }
        }
    }
    return [...found.values()].filter(({name}) => !LEFT_OUT.includes(name));
}

function shown(value) {
    let text;
    try {
        text = typeof value === 'string' || Array.isArray(value)
            ? JSON.stringify(value) : String(value);
    } catch (error) {
        text = typeof value;
    }
    return text.length < 100 ? text : `${text.slice(0, 80)}...(${text.length})`;
}

class Batch {
    constructor(seed) {
        this.stage = new Stage(seed);
        this.chance = this.stage.chance;
        this.nCalls = 0;
        this._collected = 0;
        this.limit = 0;
        this.depth = 0;
        this._callables = new Map(CLASSES.map(cls => [cls, callablesOf(cls)]));
        this._functions = API.functions.filter(({name}) => !LEFT_OUT.includes(name));
        this._functions.push({name: 'poll', parameters: POLL.map(name => ({name}))});
    }

    say(text) {
        printerr(`${this.nCalls} ${text.replaceAll('\0', '\\0')}`);
    }

    // Whatever a script may meet is an exception.
    attempt(what, body) {
        this.nCalls++;
        this.say(what);
        try {
            return [true, body()];
        } catch (error) {
            if (error instanceof GLib.Error && /^$|: $|Success$/.test(error.message))
                this.say(`FAILED: the error says nothing: ${error}`);
            return [false, null];
        }
    }

    arguments(callable) {
        const waits = callable.parameters.some(
            ({name}) => ['timeout', 'options', 'wait'].includes(name));
        if (!waits && this.chance.below(30) === 0)
            return this.chance.several([0, 1, 3, 5], () => this.stage.junk());
        return callable.parameters.map(({name, type}) =>
            !['options', 'wait'].includes(name) && this.chance.below(12) === 0
                ? this.stage.junk(name) : valueFor(this.stage, name, type));
    }

    call(target, callable) {
        const {name, kind} = callable;
        const owner = kind === 'method' ? target : target.constructor;
        const on = target === Usock ? Usock : owner;
        const values = this.arguments(callable);
        const [worked, result] = this.attempt(`${shown(target)}.${name}(${values.map(shown)})`,
            () => on[name](...values));
        this.stage.giveBack(worked && TAKES_FD.includes(name));
        if (worked)
            this.keep(name, result);
    }

    keep(name, result) {
        if (GIVES_FD.includes(name) && result > 2)
            closeFd(result);
        else if (name === 'steal_fd' && result)
            closeFd(result[0]);
        else if (name === 'take_fds')
            result.forEach(closeFd);
        else if (result instanceof Promise)
            result.then(value => this.keep('', value), () => {});
        for (const each of Array.isArray(result) ? result : [result]) {
            if (CLASSES.some(cls => each instanceof cls) && !(each instanceof Usock.Call))
                this.stage.add(each);
        }
    }

    callables(target) {
        return this._callables.get(CLASSES.find(cls => target instanceof cls));
    }

    actCall() {
        const target = this.chance.choice(this.stage.cast);
        this.call(target, this.chance.choice(this.callables(target)));
    }

    actNew() {
        const cls = this.chance.choice(CLASSES);
        const state = this.chance.choice(this.stage.states(cls));
        this.attempt(`${cls.name} ${state}`, () => this.stage.make(cls, state));
    }

    actProperty() {
        const target = this.chance.choice(this.stage.cast);
        const cls = CLASSES.find(each => target instanceof each);
        const each = this.chance.choice(lineage(cls).flatMap(entry => entry.properties));
        if (!each)
            return;
        const name = each.name.replaceAll('-', '_');
        const value = this.stage.propertyValue(each.type);
        if (each.writable && name !== 'socket_type')
            this.attempt(`${shown(target)}.${name} = ${value}`, () => (target[name] = value));
        this.attempt(`${shown(target)}.${name}`, () => target[name]);
    }

    actSignal() {
        const target = this.chance.choice(this.stage.emitters());
        if (!target)
            return;
        const cls = CLASSES.find(each => target instanceof each);
        const signal = this.chance.choice(lineage(cls).flatMap(entry => entry.signals));
        this.attempt(`${shown(target)} on ${signal}`,
            () => target.connect(signal, (_socket, ...values) => this.react(signal, values)));
    }

    react(signal, values) {
        if (this.depth < 2 && this.nCalls < this.limit && this.stage.cast.length > 0) {
            this.depth++;
            const acts = ['actCall', 'actPeer', 'actTurn', 'actNothing', 'actNothing'];
            this[this.chance.choice(acts)]();
            this.depth--;
        }
        for (const each of values) {
            if (each instanceof Usock.Message || each instanceof Usock.Socket ||
                each instanceof Usock.Call)
                this.stage.add(each);
        }
        return signal === 'authorize' ? this.chance.below(2) : undefined;
    }

    actNothing() {
    }

    actPeer() {
        if (this.stage.peers.length > 0)
            this.attempt('a peer acts', () => this.chance.choice(this.stage.peers).act());
    }

    actFunction() {
        this.call(Usock, this.chance.choice(this._functions));
    }

    actTurn() {
        this.stage.turn(this.chance.choice([1, 5, 20]));
    }

    actDrop() {
        this.stage.drop(this.chance.below(this.stage.cast.length));
    }

    mix(nCalls) {
        this.limit = nCalls;
        const acts = [...Array(12).fill('actCall'), 'actNew', 'actNew', 'actProperty', 'actSignal',
            'actSignal', 'actPeer', 'actPeer', 'actFunction', 'actTurn', 'actDrop'];
        while (this.nCalls < nCalls) {
            this[this.stage.cast.length > 0 ? this.chance.choice(acts) : 'actNew']();
            this.tidy();
            if (this.chance.below(50) === 0)
                this.settle();
        }
    }

    walk(cls) {
        for (const state of this.stage.states(cls)) {
            for (const callable of this._callables.get(cls)) {
                if (!LONG && this.chance.below(2))
                    continue;
                const [worked, target] = this.attempt(`${cls.name} ${state}`,
                    () => this.stage.make(cls, state));
                if (worked) {
                    this.call(target, callable);
                    this.stage.turn(3);
                }
                this.tidy();
            }
            this.settle();
        }
    }

    // GJS before 1.82 drops callbacks while it collects in slices: it is to collect at once.
    tidy() {
        this.stage.dropSome();
        if (this.nCalls - this._collected > 30) {
            this._collected = this.nCalls;
            System.gc();
        }
    }

    // Nothing runs for ever when nobody does anything.
    settle() {
        const until = GLib.get_monotonic_time() + 5e6 * SLOW;
        while (this.stage.turn(1000) === 1000) {
            if (GLib.get_monotonic_time() > until) {
                this.say('FAILED: it spins');
                System.exit(1);
            }
        }
    }

    finish() {
        this.nCalls++;
        this.say('strike');
        this.stage.strike();
    }

    // What is left, as text.
    left(before) {
        this.stage.forget();
        System.gc();
        const fds = [...openFds()].filter(([fd, target]) => before.get(fd) !== target);
        const nHeld = Usock.count_held(null);
        return fds.length + nHeld > 0 ? `${JSON.stringify(fds)}, ${nHeld} held` : null;
    }
}

// What is on the stack keeps objects alive: it is looked at from the loop.
function waitForNothing(batch, before, loop) {
    const until = GLib.get_monotonic_time() + 10e6 * SLOW;
    GLib.timeout_add(GLib.PRIORITY_DEFAULT, 10, () => {
        const left = batch.left(before);
        if (left && GLib.get_monotonic_time() < until)
            return GLib.SOURCE_CONTINUE;
        if (left) {
            batch.say(`FAILED: left open: ${left}`);
            System.exit(1);
        }
        loop.quit();
        return GLib.SOURCE_REMOVE;
    });
}

function runBatch(kind, what, seed) {
    const loop = new GLib.MainLoop(null, false);
    const before = openFds();
    const batch = new Batch(Number(seed));
    GLib.idle_add(GLib.PRIORITY_DEFAULT, () => {
        try {
            if (kind === 'walk')
                batch.walk(Usock[what]);
            else
                batch.mix(Number(what));
            batch.finish();
        } catch (error) {
            batch.say(`FAILED: ${error}\n${error.stack}`);
            System.exit(1);
        }
        waitForNothing(batch, before, loop);
        return GLib.SOURCE_REMOVE;
    });
    loop.run();
}

function isComplaint(line) {
    if (!COMPLAINT.test(line) || NOT_OURS.test(line))
        return false;
    return !MISUSE.includes(CRITICAL.exec(line)?.[1]);
}

async function batch(kind, what, seed) {
    const command = ['gjs', '-m', GLib.filename_from_uri(import.meta.url)[0], API_PATH, kind,
        `${what}`, `${seed}`];
    const launcher = new Gio.SubprocessLauncher({
        flags: Gio.SubprocessFlags.STDERR_PIPE | Gio.SubprocessFlags.STDOUT_SILENCE,
    });
    launcher.unsetenv('G_DEBUG');
    // Its caches keep closures, which keep what they saw.
    launcher.setenv('GJS_DISABLE_JIT', '1', true);
    const child = launcher.spawnv(command);
    let hangs = false;
    const patience = GLib.timeout_add_seconds(GLib.PRIORITY_DEFAULT, 120 * SLOW, () => {
        hangs = true;
        child.force_exit();
        return GLib.SOURCE_CONTINUE;
    });
    const said = await new Promise((resolve, reject) => {
        child.communicate_async(null, null, (_child, result) => {
            try {
                resolve(child.communicate_finish(result)[2].toArray());
            } catch (error) {
                reject(error);
            }
        });
    });
    GLib.source_remove(patience);
    const lines = new TextDecoder().decode(said).split('\n');
    const at = lines.findIndex(isComplaint);
    const failed = !child.get_if_exited() || child.get_exit_status() !== 0;
    if (!hangs && !failed && at < 0)
        return;
    const last = at < 0 ? lines.slice(-25) : lines.slice(Math.max(0, at - 8), at + 25);
    throw new Error(`${hangs ? 'it hangs' : `status ${child.get_status()}`}; ` +
        `G_DEBUG= ${command.join(' ')}\n${last.join('\n')}`);
}

if (ARGV.length > 1) {
    runBatch(...ARGV.slice(1));
} else {
    for (const name of CLASSES.map(cls => cls.name.replace('Usock_', '')))
        test(`walk ${name}`, () => batch('walk', name, SEED));
    for (let seed = SEED; seed < SEED + (LONG ? 100 : 3); seed++)
        test(`mix ${seed}`, () => batch('mix', LONG ? 5000 : 1500, seed));
    run();
}
