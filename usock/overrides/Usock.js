// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// usock as JavaScript's own: bytes go in and come out, messages are awaited and iterated.
//
// GJS before 1.82 drops callbacks while its garbage collector sweeps in slices: the handler is not
// called, the promise never settles, and since no script runs the collector never gets on. It
// happens when many wrappers of boxed values or objects were made, or much memory was taken. So
// there is a collection, which is not done in slices, after every so many messages and bytes, in
// each way by which they come and go. A program that makes tens of thousands of such objects, or
// takes tens of megabytes, between two messages can still get there.
//
// No version knows how large the message is that a wrapper of it keeps. So there is a collection
// after so many bytes of those as well; bytes that come as an array are the engine's own.
//
// All of it stands in a function: GJS looks for a name of an override's own level, and for one of the
// engine's, in tables each time it is met, which takes longer than what is called. What is in a
// function it finds by number. For the same reason calls that are made often have no default values
// of parameters, and look at a constructor before they ask for an instance.

/* exported _init */
var _init = (() => { // eslint-disable-line no-var

const {
    Array, ArrayBuffer, BigInt, Error, Infinity, Map, Math, Number, Object, Promise, Proxy,
    RangeError, Reflect, Set, String, Symbol, TextDecoder, TextEncoder, TypeError, Uint8Array,
} = globalThis;
const {Gio, GLib, GObject} = imports.gi;
const System = imports.system;

const dropsCallbacks = System.version < 18190;
const MESSAGES_PER_COLLECTION = dropsCallbacks ? 2000 : Infinity;
const BYTES_PER_COLLECTION = (dropsCallbacks ? 16 : 32) << 20;

// How much is taken at once. What is not given to anybody is put back.
const MESSAGES_AHEAD = 64;
const LINES_AHEAD = 128;

const READ = Symbol('read');
const LINE_ENDING = Symbol('line ending');

let messagesKept = 0;
let bytesKept = 0;

// What wrappers keep, and the engine does not know of.
function kept(nMessages, nBytes) {
    messagesKept += nMessages;
    bytesKept += nBytes;
    if (messagesKept >= MESSAGES_PER_COLLECTION || bytesKept >= BYTES_PER_COLLECTION) {
        messagesKept = bytesKept = 0;
        System.gc();
    }
}

// One call for all that were taken together: what was read meanwhile is their sum, as a rule.
function keptAhead(channel, n) {
    const read = channel.get_bytes_read();
    kept(n, Math.min(read - (channel[READ] ?? 0), BYTES_PER_COLLECTION / 2));
    channel[READ] = read;
}

function keptMessage(message) {
    kept(1, message?.get_length() ?? 0);
    return message;
}

function passed(nMessages, nBytes) {
    if (dropsCallbacks)
        kept(nMessages, nBytes);
}

// What counts as how many messages and bytes, by the signal that brings it.
const DELIVERIES = dropsCallbacks ? {
    data: bytes => passed(1, bytes.length),
    datagram: bytes => passed(1, bytes.length),
    message: keptMessage,
    batch: batch => passed(batch.length, batch.reduce((sum, bytes) => sum + bytes.length, 0)),
    authorize: () => passed(1, 0),
    connection: () => passed(1, 0),
    drop: () => passed(1, 0),
} : {message: keptMessage};

// What goes in

function isUint8Array(data) {
    return data?.constructor === Uint8Array || data instanceof Uint8Array;
}

function asBytes(data) {
    if (isUint8Array(data))
        return data;
    if (typeof data === 'string')
        return new TextEncoder().encode(data);
    if (data instanceof GLib.Bytes)
        return data.toArray();
    if (ArrayBuffer.isView(data))
        return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (data instanceof ArrayBuffer)
        return new Uint8Array(data);
    throw new TypeError('a message is made of a Uint8Array, an ArrayBuffer, a string, a ' +
        'GLib.Bytes or a Usock.Message');
}

function slice(bytes, offset = 0, length = bytes.length - offset) {
    if (!Number.isInteger(offset) || offset < 0 || offset > bytes.length)
        throw new RangeError(`offset ${offset} is outside of the ${bytes.length} bytes`);
    if (!Number.isInteger(length) || length < 0 || length > bytes.length - offset) {
        throw new RangeError(
            `length ${length} from offset ${offset} is outside of the ${bytes.length} bytes`);
    }
    return length === bytes.length ? bytes : bytes.subarray(offset, offset + length);
}

// GJS would make a number of whatever it is, and one that may well be open: 0 of undefined.
function asFd(item) {
    const fd = typeof item?.get_fd === 'function' ? item.get_fd() : item?.fd ?? item;
    if (!Number.isInteger(fd) || fd !== (fd | 0))
        throw new RangeError(`${String(fd)} is not a descriptor`);
    return fd;
}

// For a call that takes the descriptor over: an object would go on closing its own.
function asOwnFd(fd) {
    if (typeof fd !== 'number')
        throw new RangeError(`${String(fd)} is not a descriptor to give away, which is a number`);
    return asFd(fd);
}

function asFds(fds) {
    // Array.from() would make nothing of what is no list.
    return [...fds].map(asFd);
}

// What a call was told besides. A name that it does not know would be ignored without a word, and
// with it what was meant.
function told(options, ...names) {
    if (options === undefined || options === null)
        return {};
    const prototype = typeof options === 'object' ? Object.getPrototypeOf(options) : undefined;
    if (prototype !== Object.prototype && prototype !== null)
        throw new TypeError(`options are an object with ${names.join(', ')}`);
    for (const name of Object.keys(options)) {
        if (!names.includes(name))
            throw new TypeError(`there is no option “${name}” here, only ${names.join(', ')}`);
    }
    return options;
}

function whole(message, {offset, length, fds}) {
    if (offset !== undefined || length !== undefined || fds !== undefined) {
        throw new TypeError(
            'a Usock.Message is sent whole, with the descriptors that are in it');
    }
    return message;
}

function asMessage(Usock, data, options) {
    const {offset, length, fds} = options;
    if (data instanceof Usock.Message)
        return whole(data, options);
    const content = slice(asBytes(data), offset, length);
    kept(0, content.length);
    const message = Usock.Message.new(content);
    for (const fd of asFds(fds ?? []))
        message.append_fd(fd);
    return message;
}

// Numbers
//
// GJS makes a number of whatever it is given: 0 of a text, of an object, and of a name that there
// is not, so that who wrote `allowed_users: 'same-user'` would let everybody in.

const RANGES = {
    int: [-0x80000000, 0x7fffffff],
    count: [0, 0xffffffff],
    size: [0, Number.MAX_SAFE_INTEGER],
    mode: [0, 0o7777],
    timeout: [-1, 0x7fffffff],
};

// What each method takes, in order, as a range and a name, with a question mark where it may be
// left out.
const NUMBERS = {
    Socket: {get_option: 'int level, int name', set_option: 'int level, int name',
        shutdown: 'int how', get_option_format: 'int level, int name'},
    Channel: {close_gracefully_async: 'timeout timeout',
        connect_when_available_async: ', timeout timeout', take_messages: '?count max'},
    Stream: {connect_to_host: ', count port, ?int family',
        connect_to_host_async: ', count port, int family',
        receive_exactly_async: 'size n_bytes, ?count n_fds', take_lines: '?count max'},
    Handle: {new_socket: 'int family, ?int type, ?int protocol',
        create: 'int family, int type, int protocol', new_pair: 'int type', pair: '?int type',
        new_connected: ', int type, timeout timeout', new_listening: ', int type, ?int backlog',
        listen: '?int backlog', connect_to_address: ', timeout timeout',
        connect_to_path: ', ?timeout timeout', recvmsg_segments: ', count flags, timeout timeout',
        send_to: ', , count flags, timeout timeout'},
    Server: {new: 'int socket_type', open_reuse_port_fd: ', count port', listen: ', ?int backlog',
        listen_on_path: ', ?int backlog', listen_on_name: ', ?int backlog',
        listen_on_fd: ', ?int backlog', listen_on_address: ', ?int backlog',
        listen_on_host: ', count port, ?int backlog', close_gracefully_async: 'timeout timeout'},
    Client: {start_for_host: ', count port'},
    Peer: {call_async: ', , timeout timeout', call_variant_async: ', , timeout timeout'},
    Message: {append_control: 'int level, int type', append_control_value: 'int level, int type',
        lookup_control: 'int level, int type', get_fd_kind: 'count index',
        get_segment: 'count index', take_fd: 'count index'},
    PacketAddress: {new: 'count interface_index, count protocol',
        new_for_interface: ', count protocol'},
};

const PROPERTIES = {
    Channel: {connect_timeout: 'count', high_water_mark: 'size', idle_timeout: 'count',
        max_fds: 'count', max_held_fds: 'count', queue_limit: 'size', read_buffer_size: 'count',
        send_timeout: 'count'},
    Stream: {attempt_delay: 'count', keep_alive_delay: 'count'},
    Dgram: {mode: 'mode', receive_buffer_size: 'int', send_buffer_size: 'int'},
    Client: {max_delay: 'count', min_delay: 'count', queue_limit: 'size'},
    Peer: {max_body_size: 'size', max_calls: 'count', max_held_bytes: 'size',
        max_incoming_calls: 'count', max_queued_calls: 'count'},
    Server: {allowed_users: 'int', high_water_mark: 'size', idle_timeout: 'count',
        max_connections: 'count', max_connections_per_user: 'count', max_fds: 'count',
        max_held_fds: 'count', mode: 'mode', queue_limit: 'size', read_buffer_size: 'count',
        send_timeout: 'count', slow_readers: 'int', socket_type: 'int', unclaimed_timeout: 'count'},
};

function show(value) {
    return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function checkNumber(value, range, name) {
    if (typeof value !== 'bigint' && !Number.isInteger(value))
        throw new TypeError(`${name} is a whole number, which ${show(value)} is not`);
    const [least, most] = RANGES[range];
    if (value < least || value > most)
        throw new RangeError(`${name} is from ${least} to ${most}, and ${value} is not`);
    return value;
}

function parseNumbers(text) {
    return text.split(',').map(part => {
        const [, optional, range, name] = part.match(/^ ?(\??)(\w*) ?(\w*)$/);
        return range === '' ? null : {optional: optional !== '', range, name};
    });
}

// What is awaited tells of it in its promise.
function checkNumbersOf(owner, name, text) {
    const method = owner[name];
    const numbers = parseNumbers(text);
    const check = args => numbers.forEach((number, i) => {
        if (number !== null && !(number.optional && args[i] === undefined))
            checkNumber(args[i], number.range, number.name);
    });
    owner[name] = name.endsWith('_async') ? function (...args) {
        try {
            check(args);
        } catch (error) {
            if (args.some(arg => typeof arg === 'function'))
                throw error;
            return Promise.reject(error);
        }
        return method.apply(this, args);
    } : function (...args) {
        check(args);
        return method.apply(this, args);
    };
}

// A property has three names in GJS.
function nameOf(property) {
    return property.replace(/-/g, '_').replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
}

function defineProperty(prototype, name, check) {
    const getter = prototype[`get_${name}`];
    const setter = prototype[`set_${name}`];
    if (setter === undefined)
        return; // It is set in the making only.
    prototype[`set_${name}`] = function (value) {
        return setter.call(this, check(value, this));
    };
    const descriptor = {
        get() {
            return getter.call(this);
        },
        set(value) {
            setter.call(this, check(value, this));
        },
        configurable: true,
        enumerable: true,
    };
    const camel = name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
    for (const each of [name, name.replaceAll('_', '-'), camel])
        Object.defineProperty(prototype, each, descriptor);
}

function asChannelType(Usock, type, socketType = Gio.SocketType.SEQPACKET) {
    const base = socketType === Gio.SocketType.STREAM ? Usock.Stream : Usock.Seqpacket;
    const gtype = type?.$gtype ?? type;
    try {
        if (GObject.type_is_a(gtype, base))
            return gtype;
    } catch {
        // It is no type at all.
    }
    throw new TypeError(`a channel_type of this server is ${base.$gtype.name} or a class of it, ` +
        `which ${gtype?.name ?? show(type)} is not`);
}

// What an object is made with does not pass by its setters.
function checkMaking(Usock, type) {
    const rangesOf = each => each === GObject.Object ? {}
        : {...rangesOf(Object.getPrototypeOf(each)), ...PROPERTIES[each.$gtype.name.slice(5)]};
    const ranges = rangesOf(type);
    const {_init} = type.prototype;
    type.prototype._init = function (properties, ...rest) {
        const given = Object.entries(properties ?? {}).map(([key, value]) => [nameOf(key), value]);
        for (const [name, value] of given) {
            if (Object.hasOwn(ranges, name))
                checkNumber(value, ranges[name], name);
        }
        const {channel_type, socket_type} = Object.fromEntries(given);
        if (type === Usock.Server && channel_type !== undefined)
            asChannelType(Usock, channel_type, socket_type);
        return _init.call(this, properties, ...rest);
    };
}

function patchNumbers(Usock) {
    for (const [name, methods] of Object.entries(NUMBERS)) {
        for (const [method, text] of Object.entries(methods)) {
            checkNumbersOf(Object.hasOwn(Usock[name], method) ? Usock[name] : Usock[name].prototype,
                method, text);
        }
    }
    for (const [name, properties] of Object.entries(PROPERTIES)) {
        for (const [property, range] of Object.entries(properties)) {
            defineProperty(Usock[name].prototype, property,
                value => checkNumber(value, range, property));
        }
    }
    defineProperty(Usock.Server.prototype, 'channel_type',
        (type, server) => asChannelType(Usock, type, server.socket_type));
    [Usock.Seqpacket, Usock.Stream, Usock.Dgram, Usock.Server, Usock.Peer, Usock.Client].forEach(
        type => checkMaking(Usock, type));
}

function checkText(text, what) {
    // Of what is no text some versions of GJS make one, in an array even of null.
    if (typeof text !== 'string')
        throw new TypeError(`${what} ${text === null ? null : typeof text}: it is no text`);
    // GJS hands over a C string, so that the call would be made with another name.
    if (text.includes('\0')) {
        throw new Gio.IOErrorEnum({
            code: Gio.IOErrorEnum.INVALID_FILENAME,
            message: `${what} “${text.replaceAll('\0', '\\0')}”: it has a NUL in it`,
        });
    }
    return text;
}

// Text that is sent, where a NUL is as good as any other.
function asText(text) {
    if (typeof text !== 'string')
        throw new TypeError(`what is sent as text is a string, not ${typeof text}`);
    return text;
}

// Whose socket of the service manager's; null is any.
function asServiceName(name) {
    return name === null ? null : checkText(name, 'Could not take the socket');
}

function asPath(where, what) {
    return checkText(where instanceof Gio.File ? where.get_path() : where, what);
}

// A text would be a list of its letters.
function asArguments(argv) {
    if (!Array.isArray(argv) || argv.length === 0)
        throw new TypeError('a program and its arguments are given in an array');
    return argv.map(each => asPath(each, 'Could not start'));
}

// The port of what is host:port; what has a slash is a path.
function portOf(text) {
    const colon = text.lastIndexOf(':');
    const digits = text.slice(colon + 1);
    return colon > 0 && text[0] !== '@' && !text.includes('/') && /^\d+$/.test(digits) &&
        Number(digits) <= 65535 ? Number(digits) : null;
}

// One grammar for whatever says where: a text is a path if it has a slash or no port, an abstract
// name after an @, and a host with its port; a backslash begins an escape, as in what senders are
// called. A Gio.File is a path, whatever it looks like. Returns an address, a path, or a host that
// has to be looked up, with its port.
function asPlace(Usock, where, what) {
    if (where instanceof Gio.SocketAddress)
        return {address: where};
    if (where instanceof Gio.File)
        return {path: asPath(where, what)};
    if (typeof where !== 'string')
        throw new TypeError('a place is a text, a Gio.File or a Gio.SocketAddress');
    checkText(where, what);
    const port = portOf(where);
    if (port === null && !/\\|^\[.*\]:0x/.test(where) || where[0] === '@')
        return {path: where};
    try {
        return {address: Usock.address_parse(where)};
    } catch (error) {
        const host = where.slice(0, where.lastIndexOf(':'));
        if (port === null || /[:[\]]/.test(host))
            throw error;
        return {host, port};
    }
}

// A destination is always a text in which a backslash begins an escape.
function asDestination(where, what) {
    return where instanceof Gio.File
        ? where.get_path().replaceAll('\\', '\\\\')
        : checkText(where, what);
}

// Waiting

// How long an awaited call waits: until it is over, or for {timeout} milliseconds, and until
// {cancellable} is cancelled, which may be given alone.
function asWait(options) {
    const {timeout = -1, cancellable = null} = options instanceof Gio.Cancellable
        ? {cancellable: options} : told(options, 'timeout', 'cancellable');
    if (cancellable !== null && !(cancellable instanceof Gio.Cancellable))
        throw new TypeError('what ends the waiting is a Gio.Cancellable');
    return {timeout: asTimeout(timeout), cancellable};
}

const FOR_EVER = {timeout: -1, cancellable: null};

function asTimeout(timeout) {
    if (!Number.isInteger(timeout) || timeout < -1 || timeout > 0x7fffffff)
        throw new TypeError(`${String(timeout)} is no number of milliseconds; -1 is for ever`);
    return timeout;
}

// Ends a call when its time is over, by a cancellable of its own.
class Deadline {
    constructor(name, timeout, outer) {
        this.cancellable = new Gio.Cancellable();
        this._name = name;
        this._timeout = timeout;
        this._outer = outer;
        this._late = false;
        if (outer?.is_cancelled())
            this.cancellable.cancel();
    }

    begin() {
        const {PRIORITY_DEFAULT, SOURCE_REMOVE} = GLib;
        // Gio.Cancellable has a connect() of its own.
        if (this._outer !== null) {
            this._handler = GObject.Object.prototype.connect.call(this._outer, 'cancelled',
                () => this.cancellable.cancel());
        }
        if (this._timeout < 0)
            return;
        this._source = GLib.timeout_add(PRIORITY_DEFAULT, this._timeout, () => {
            // What came while the program was busy came in time, and is taken in the next turn.
            this._source = GLib.idle_add(PRIORITY_DEFAULT, () => {
                this._source = 0;
                this._late = true;
                this.cancellable.cancel();
                return SOURCE_REMOVE;
            });
            return SOURCE_REMOVE;
        });
    }

    end() {
        if (this._source)
            GLib.source_remove(this._source);
        if (this._handler)
            GObject.Object.prototype.disconnect.call(this._outer, this._handler);
    }

    explain(error) {
        if (!this._late || this._outer?.is_cancelled() ||
            !error.matches?.(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED))
            return error;
        return new Gio.IOErrorEnum({
            code: Gio.IOErrorEnum.TIMED_OUT,
            message: `Could not ${this._name}: waited ${this._timeout} ms in vain`,
        });
    }
}

// Calls an asynchronous method; resolves with what it finishes with.
function call(self, {name, start, finish}, args, options) {
    return new Promise((resolve, reject) => {
        const {timeout, cancellable} = asWait(options);
        const deadline = timeout < 0 ? null : new Deadline(name, timeout, cancellable);
        start.call(self, ...args, deadline?.cancellable ?? cancellable, (_source, result) => {
            deadline?.end();
            try {
                resolve(finish.call(self, result));
            } catch (error) {
                reject(deadline?.explain(error) ?? error);
            }
            passed(1, 0);
        });
        deadline?.begin();
    });
}

// What loses a race
//
// Promise.race() forgets who loses, as Promise.all() does once one has failed, and what that one
// brings later would be lost. So a call that takes something is withdrawn when it has lost, and goes
// on when somebody asks for it again: by then(), by an await, which looks at the constructor, or in
// another race. A race is given promises of its own, so that a call of which nobody but races has
// asked is not settled, and can give back what it took.

const TAKING = Symbol('taking');

class Taken extends Promise {
    static get [Symbol.species]() {
        return Promise;
    }

    then(...reactions) {
        this[TAKING].ask();
        return super.then(...reactions);
    }
}

Object.defineProperty(Taken.prototype, 'constructor', {
    get() {
        this[TAKING]?.ask();
        return Promise;
    },
});

// Cancellables that were never cancelled, to be used again: to make one costs more than the call.
const spares = [];

// A method under way, which may be withdrawn.
class Wait {
    constructor(line, args, {timeout, cancellable}, done) {
        const {self, method: {name, start, finish}} = line;
        const deadline = timeout < 0 && cancellable === null
            ? null : new Deadline(name, timeout, cancellable);
        this._cancellable = deadline?.cancellable ?? spares.pop() ?? new Gio.Cancellable();
        this._cancelled = false;
        start.call(self, ...args, this._cancellable, (_source, result) => {
            deadline?.end();
            if (deadline === null && !this._cancelled)
                spares.push(this._cancellable);
            let item;
            try {
                item = line.receive(finish.call(self, result), args);
            } catch (error) {
                done(this, null, deadline?.explain(error) ?? error);
                return;
            }
            done(this, item, null);
        });
        deadline?.begin();
    }

    cancel() {
        this._cancelled = true;
        this._cancellable.cancel();
    }
}

const identity = value => value;

// What is on its way to whoever asks for it. It waits, is withdrawn, holds what it took, has failed
// or is over.
class Taking {
    constructor(line, args, options, wrap = identity) {
        this._line = line;
        this._args = args;
        this._options = options;
        this._wrap = wrap;
        this._state = 'withdrawn';
        this._asked = false;
        this._races = 0;
        this._racers = null;
        this.promise = new Taken((resolve, reject) => {
            this._resolve = resolve;
            this._reject = reject;
        });
        this.promise[TAKING] = this;
        this._begin();
    }

    ask() {
        if (this._asked)
            return;
        this._asked = true;
        this._begin();
        this._settle();
    }

    // A promise for one race.
    race() {
        this._races++;
        this._begin();
        return new Promise((resolve, reject) => {
            (this._racers ??= []).push({resolve, reject});
            this._tellRacers();
        });
    }

    // Nobody looks at what loses, unless somebody has asked for it otherwise.
    leave(wins) {
        this._races--;
        if (wins && this._state !== 'failed')
            this.ask();
        else if (this._races === 0 && !this._asked)
            this._withdraw();
    }

    // The loop that this was for is left.
    abandon() {
        if (this._state === 'waiting')
            this._wait.cancel();
        else if (!this._asked)
            this._withdraw();
    }

    // In place of what it waits for, what was there before.
    accept(item) {
        this._wait.cancel();
        this._take(item);
    }

    _withdraw() {
        const {_state: state} = this;
        if (state !== 'waiting' && state !== 'taken')
            return;
        this._state = 'withdrawn';
        this._racers = null;
        if (state === 'taken') {
            this._line.giveBack(this._item);
        } else {
            this._line.waiting.delete(this);
            this._wait.cancel();
        }
    }

    _begin() {
        if (this._state !== 'withdrawn')
            return;
        try {
            const wait = this._options === undefined ? FOR_EVER : asWait(this._options);
            const item = wait.cancellable?.is_cancelled() ? undefined : this._line.shift();
            if (item !== undefined)
                this._take(item);
            else
                this._start(wait);
        } catch (error) {
            this._fail(error);
        }
    }

    _start(wait) {
        this._state = 'waiting';
        this._line.waiting.add(this);
        this._wait = new Wait(this._line, this._args, wait,
            (each, item, error) => this._finish(each, item, error));
    }

    // It may have taken something already when it was withdrawn.
    _finish(wait, item, error) {
        const waiting = this._wait === wait && this._state === 'waiting';
        if (error === null) {
            if (waiting)
                this._take(item);
            else
                this._line.giveBack(item);
        } else if (waiting)
            this._fail(error);
        passed(1, 0);
    }

    _take(item) {
        if (this._state === 'waiting')
            this._line.waiting.delete(this);
        this._state = 'taken';
        this._item = item;
        this._tellRacers();
        this._settle();
    }

    _fail(error) {
        this._line.waiting.delete(this);
        this._state = 'failed';
        this._error = error;
        this._tellRacers();
        this._settle();
    }

    _tellRacers() {
        if (this._racers === null)
            return;
        if (this._state === 'taken')
            this._racers.forEach(({resolve}) => resolve(this._wrap(this._item.value)));
        else if (this._state === 'failed')
            this._racers.forEach(({reject}) => reject(this._error));
        if (this._state === 'over')
            this._racers.forEach(({resolve}) => resolve(this.promise));
    }

    // An error of which a race has told is nothing that nobody looked at.
    _settle() {
        if (this._state === 'failed' && (this._asked || this._races === 0)) {
            this._reject(this._error);
        } else if (this._state === 'taken' && this._asked) {
            this._state = 'over';
            this._line.serve(this._item);
            this._resolve(this._wrap(this._item.value));
        }
    }
}

const TAKING_SIGNALS = new Set(['data', 'message', 'batch', 'datagram']);
const WAS_LISTENED_TO = Symbol('was listened to');

// Whether what nobody waits for goes to a handler. Few sockets ever have one and are awaited too.
function isListenedTo(self) {
    return self[WAS_LISTENED_TO] === true && [...TAKING_SIGNALS]
        .map(signal => GObject.signal_lookup(signal, self.constructor.$gtype))
        .some(number => number > 0 && GObject.signal_has_handler_pending(self, number, 0, false));
}

// What is received from one socket by one method. Items that were taken ahead, or that are given
// back, come first; each knows its place, so that all go back in order.
class Line {
    constructor(self, method) {
        this.self = self;
        this.method = method;
        this.waiting = new Set();
        this._back = [];
        this._ahead = [];
        this._next = 0;
    }

    // The next that is there already; undefined for none.
    shift() {
        if (this._back.length > 0)
            return this._back.shift();
        if (this._next === this._ahead.length) {
            this._ahead = this._mayTakeAhead() ? this.method.takeAhead(this.self) : [];
            this._next = 0;
        }
        return this._next < this._ahead.length ? this._shiftAhead() : undefined;
    }

    // What nobody waits for is a handler's, where there is one.
    _mayTakeAhead() {
        return this.method.takeAhead !== undefined && this.waiting.size === 0 &&
            !isListenedTo(this.self);
    }

    // What a call has brought, and what there is to know of it.
    receive(value, args) {
        return {value, note: this.method.note?.(this.self, ...args), place: place++};
    }

    // Somebody looks at it now.
    serve(item) {
        this.method.serve?.(this.self, item);
    }

    giveBack(item) {
        if (item.value === null)
            return;
        const [first] = this.waiting;
        if (first !== undefined) {
            first.accept(item);
            return;
        }
        this.keep([item]);
        settleLater(this.self);
    }

    keep(items) {
        this._back = [...this._back, ...items].sort((one, other) => one.place - other.place);
    }

    // Returns all that was here.
    clear() {
        const items = this._back;
        while (this._next < this._ahead.length)
            items.push(this._shiftAhead());
        this._back = [];
        return items;
    }

    isEmpty() {
        return this._back.length === 0 && this._next === this._ahead.length;
    }

    _shiftAhead() {
        const value = this._ahead[this._next++];
        return this.method.unpack === undefined
            ? {value, note: undefined, place: place++}
            : {...this.method.unpack(value), place: place++};
    }
}

const LINES = Symbol('lines');

// Of whatever was taken, wherever it is: nothing else is compared with it.
let place = 0;

// The line of a method. What those of other methods hold may come before what it would take.
function lineOf(self, method) {
    const lines = self[LINES] ??= new Map();
    let line = lines.get(method);
    if (line === undefined)
        lines.set(method, line = new Line(self, method));
    if (lines.size > 1 && [...lines.values()].some(other => other !== line && !other.isEmpty()))
        settle(self);
    return line;
}

function unread(line, items) {
    try {
        line.method.unread(line.self, items);
    } catch {
        line.keep(items);
    }
}

// Everything back to where it came from, for who takes it otherwise, the last first. What has no
// way back, since the socket has closed, stays.
function settle(self) {
    const held = [];
    self[LINES]?.forEach(line => {
        if (line.method.unread !== undefined && !line.isEmpty())
            held.push(...line.clear().map(item => ({line, item})));
    });
    held.sort((one, other) => other.item.place - one.item.place);
    while (held.length > 0) {
        const {line} = held[0];
        const end = held.findIndex(each => each.line !== line);
        unread(line, held.splice(0, end < 0 ? held.length : end).map(({item}) => item).reverse());
    }
}

// When whatever else is given back was.
function settleLater(self) {
    const lines = self[LINES];
    if (lines === undefined || lines.isDue)
        return;
    lines.isDue = true;
    Promise.resolve().then(() => {
        lines.isDue = false;
        settle(self);
    });
}

// The program throws away what it has not received.
function drop(self) {
    self[LINES]?.forEach(line => line.clear());
}

// A call that takes something, which is not to be lost.
function take(self, method, args, options) {
    return new Taking(lineOf(self, method), args, options ?? undefined).promise;
}

// Who has won, of those that were settled in this order.
const WINNERS = {
    race: ({settled}) => [settled[0]],
    any: ({fulfilled}) => fulfilled.slice(0, 1),
    all: ({settled, fulfilled}) => settled.length === fulfilled.length ? fulfilled : [],
};

function watchRaces(name) {
    const race = Promise[name];
    // A program may have frozen what is built in.
    Reflect.set(Promise, name, function (contenders) {
        if (typeof contenders?.[Symbol.iterator] !== 'function')
            return race.call(this, contenders);
        const list = [...contenders];
        const takings = list.map(item => item?.[TAKING]);
        if (takings.every(taking => taking === undefined))
            return race.call(this, list);
        const settled = [];
        const fulfilled = [];
        const entries = list.map((item, i) => {
            const entry = takings[i]?.race() ?? Promise.resolve(item);
            Promise.prototype.then.call(entry, () => {
                settled.push(i);
                fulfilled.push(i);
            }, () => settled.push(i));
            return entry;
        });
        const result = race.call(this, entries);
        const over = () => {
            const winners = WINNERS[name]({settled, fulfilled});
            takings.forEach((taking, i) => taking?.leave(winners.includes(i)));
        };
        Promise.prototype.then.call(result, over, over);
        return result;
    });
}

// Makes NAME_async() return a promise when it is given no callback, and takes in place of the
// cancellable what asWait() takes.
function promisify(prototype, name) {
    const start = prototype[`${name}_async`];
    const finish = prototype[`${name}_finish`];
    const method = {name: name.replaceAll('_', ' '), start, finish};
    const nArgs = start.length - 2;
    prototype[`${name}_async`] = function (...args) {
        return args.some(arg => typeof arg === 'function')
            ? start.apply(this, args)
            : call(this, method, args.slice(0, nArgs), args[nArgs]);
    };
    return method;
}

// Leaving the loop closes nothing, and loses nothing: who waits is told that the loop was left.
function iterate(self, method, options = undefined, give = identity) {
    const wrap = value => ({value: value === null ? null : give(value), done: value === null});
    let current = null;
    return {
        next() {
            current = new Taking(lineOf(self, method), [], options, wrap);
            return current.promise;
        },
        async return(value) {
            current?.abandon();
            settle(self);
            return {value, done: true};
        },
        [Symbol.asyncIterator]() {
            return this;
        },
    };
}

// GJS cuts what is larger than a byte.
function asContent(data) {
    return typeof data === 'string' || isUint8Array(data) ? data : asBytes(data);
}

function patchMessageMaking(Usock) {
    const {Message} = Usock;
    const make = Message.new;
    Message.new = data => make(asContent(data));
    Usock.Message = new Proxy(Message, {
        construct: (_target, [data]) => make(asContent(data)),
    });
}

function patchMessage(Usock) {
    patchMessageMaking(Usock);
    Object.defineProperties(Usock.Message.prototype, {
        data: {
            get() {
                const data = this.get_data();
                passed(0, data.length);
                return data;
            },
        },
        text: {
            get() {
                try {
                    return this.dup_text();
                } catch (error) {
                    // C text ends at a NUL, JavaScript's does not.
                    const bytes = this.get_data();
                    if (!bytes.includes(0))
                        throw error;
                    return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes);
                }
            },
        },
        segments: {
            get() {
                return Array.from({length: this.get_n_segments()},
                    (_, index) => this.get_segment(index).toArray());
            },
        },
        // What came beside the bytes: an array of [level, type, value].
        controls: {
            get() {
                return this.get_controls().recursiveUnpack();
            },
        },
        // Who sent a datagram, as text to answer to; null if the sender has no name.
        sender: {
            get() {
                return this.get_sender();
            },
        },
    });
    const {new_from_memfd} = Usock.Message;
    Usock.Message.new_from_memfd = fd => new_from_memfd(asFd(fd));
    const {append_fd, append_fd_owned} = Usock.Message.prototype;
    Usock.Message.prototype.append_fd = function (fd) {
        return append_fd.call(this, asFd(fd));
    };
    Usock.Message.prototype.append_fd_owned = function (fd) {
        return append_fd_owned.call(this, asOwnFd(fd));
    };
    const {append_bytes} = Usock.Message.prototype;
    Usock.Message.prototype.append_bytes = function (data) {
        return append_bytes.call(this, data instanceof GLib.Bytes ? data : asBytes(data));
    };
    const {append_control, append_control_value, lookup_control} = Usock.Message.prototype;
    // The value of the first such record, or null.
    Usock.Message.prototype.lookup_control = function (level, type) {
        return lookup_control.call(this, level, type)?.recursiveUnpack() ?? null;
    };
    // Adds a record: a number or boolean, bytes, or a GLib.Variant.
    Usock.Message.prototype.append_control = function (level, type, value) {
        if (typeof value === 'number' || typeof value === 'boolean')
            value = GLib.Variant.new_int64(Number(value));
        return value instanceof GLib.Variant
            ? append_control_value.call(this, level, type, value)
            : append_control.call(this, level, type, asBytes(value));
    };
    Usock.Message.new_from_text = text => Usock.Message.new(asText(text));
}

// What GJS would round, and warn of it, is a BigInt.
function fromUint64(value) {
    const number = BigInt(value.print(false));
    return number <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(number) : number;
}

function fromOption(value) {
    switch (value.get_type_string()) {
    case 't':
        return fromUint64(value);
    case 'ay':
        return value.get_data_as_bytes().toArray();
    case '(ttt)':
        return [0, 1, 2].map(i => fromUint64(value.get_child_value(i)));
    case 'a{sv}':
        return Object.fromEntries(Array.from({length: value.n_children()}, (_, i) => {
            const entry = value.get_child_value(i);
            return [entry.get_child_value(0).get_string()[0],
                fromUint64(entry.get_child_value(1).get_variant())];
        }));
    default:
        return value.recursiveUnpack();
    }
}

// A number that is too large is then out of the option's range: GJS would wrap it into the type's.
function asNumber(value) {
    if (typeof value !== 'bigint' && !Number.isSafeInteger(value))
        throw new TypeError(`${value} is not an integer`);
    return GLib.Variant.parse(null, `${value > 0x7fffffffffffffffn ? 'uint64' : 'int64'} ${value}`,
        null, null);
}

// The value of an option, of the type that it has.
function asOption(Usock, level, name, value) {
    if (value === null || value === undefined || value instanceof GLib.Variant)
        return value ?? null;
    const format = Usock.Socket.get_option_format(level, name);
    if (format === null)
        return null; // There is no such option, which the call tells.
    const isNumber = ['number', 'bigint'].includes(typeof value);
    switch (format) {
    case 'b':
        if (typeof value !== 'boolean' && value !== 0 && value !== 1)
            throw new TypeError(`${value} is neither true nor false`);
        return GLib.Variant.new_boolean(Boolean(value));
    case 's':
        return isNumber ? asNumber(value) : GLib.Variant.new_string(value);
    case 'ay':
        return GLib.Variant.new_from_bytes(new GLib.VariantType('ay'), new GLib.Bytes(asBytes(value)),
            true);
    case '':
        throw new TypeError('the option takes no value');
    default:
        return format.length === 1 ? asNumber(value) : new GLib.Variant(format, value);
    }
}

function patchOptions(Usock) {
    const {prototype} = Usock.Socket;
    const {get_option, set_option} = prototype;

    // Gets an option: a number, boolean, string, Uint8Array, array or object, see the reference.
    prototype.get_option = function (level, name) {
        return fromOption(get_option.call(this, level, name));
    };
    // Sets an option to what get_option() gives, or to a GLib.Variant.
    prototype.set_option = function (level, name, value = null) {
        return set_option.call(this, level, name, asOption(Usock, level, name, value));
    };
}

// With what was read ahead, which is empty as a rule.
function patchStealing(Usock) {
    const {steal_fd} = Usock.Socket.prototype;
    const {steal_connection} = Usock.Stream.prototype;
    const withBytes = ([taken, unread]) => [taken, unread?.toArray() ?? new Uint8Array()];
    Usock.Socket.prototype.steal_fd = function () {
        settle(this);
        return withBytes(steal_fd.call(this));
    };
    Usock.Stream.prototype.steal_connection = function () {
        settle(this);
        return withBytes(steal_connection.call(this));
    };
}

// Of clients with a name of their own.
function patchNames(Usock) {
    for (const {prototype} of [Usock.Stream, Usock.Seqpacket]) {
        const {bind_to_path} = prototype;
        prototype.bind_to_path = function (path) {
            return bind_to_path.call(this, asPath(path, 'Could not bind to'));
        };
    }
}

function asError(error) {
    if (error === null || error instanceof GLib.Error)
        return error;
    if (!(error instanceof Error))
        throw new TypeError('a socket is destroyed with an error, or with none');
    return new Gio.IOErrorEnum({
        code: Gio.IOErrorEnum.FAILED,
        message: error.message || error.name,
    });
}

function patchSocket(Usock) {
    const {prototype} = Usock.Socket;
    for (const name of ['connect', 'connect_after']) {
        const connect = GObject.Object.prototype[name];
        prototype[name] = function (signal, handler) {
            const count = Object.hasOwn(DELIVERIES, signal) ? DELIVERIES[signal] : null;
            settle(this);
            if (TAKING_SIGNALS.has(signal))
                this[WAS_LISTENED_TO] = true;
            if (count === null || typeof handler !== 'function')
                return connect.call(this, signal, handler);
            return connect.call(this, signal, (emitter, value, ...rest) => {
                try {
                    return handler(emitter, value, ...rest);
                } finally {
                    count(value);
                }
            });
        };
    }

    // Closes at once. An Error, or a GLib.Error, is what the error signal then tells.
    const {close, destroy} = prototype;
    prototype.destroy = function (error = null) {
        const reason = asError(error);
        drop(this);
        return destroy.call(this, reason);
    };
    prototype.close = function () {
        drop(this);
        close.call(this);
    };

    // Where the engine has them: what leaves a block with using is closed, what leaves one with
    // await using once what was sent before has left.
    if (Symbol.dispose) {
        prototype[Symbol.dispose] = prototype.close;
        Usock.Message.prototype[Symbol.dispose] = Usock.Message.prototype.close_fds;
    }
    if (Symbol.asyncDispose) {
        prototype[Symbol.asyncDispose] = async function () {
            if (this instanceof Usock.Channel)
                await finishSending(this);
            this.close();
        };
    }
}

// The channel may fail, of which its error signal tells.
async function finishSending(channel) {
    if (channel.queued_bytes > 0)
        await channel.flush().catch(() => {});
}

function patchConnecting(Usock) {
    const {prototype} = Usock.Channel;
    const what = 'Could not connect to';
    const connectAsync = promisify(prototype, 'connect');
    const connectToPath = promisify(prototype, 'connect_to_path');
    promisify(prototype, 'connect_when_available');
    const {connect_to_path, connect_to_path_async, connect_to_name} = prototype;
    const {connect_when_available_async} = prototype;
    prototype.connect_to_path = function (path) {
        return connect_to_path.call(this, asPath(path, what));
    };
    prototype.connect_to_path_async = function (path, ...rest) {
        return connect_to_path_async.call(this, asPath(path, what), ...rest);
    };
    prototype.connect_when_available_async = function (path, ...rest) {
        return connect_when_available_async.call(this, asPath(path, what), ...rest);
    };
    prototype.connect_to_name = function (name) {
        return connect_to_name.call(this, checkText(name, what));
    };

    for (const type of [Usock.Seqpacket, Usock.Stream]) {
        const {new_for_name} = type;
        type.new_for_name = name => new_for_name.call(type, checkText(name, what));
    }
    for (const type of [Usock.Seqpacket, Usock.Stream, Usock.Dgram]) {
        const {new_activated} = type;
        type.new_activated = (name = null) => new_activated.call(type, asServiceName(name));
    }

    // Connects to a place, of which a host is looked up; resolves with the channel.
    prototype.open = async function (where, options = undefined) {
        const {path, address, host, port} = asPlace(Usock, where, what);
        if (path !== undefined)
            await call(this, connectToPath, [path], options);
        else if (address !== undefined)
            await call(this, connectAsync, [address], options);
        else
            await openHost(this, host, port, options);
        return this;
    };
    async function openHost(channel, host, port, options) {
        if (channel instanceof Usock.Stream)
            await channel.connect_to_host_async(host, port, Gio.SocketFamily.INVALID, options);
        else
            await call(channel, connectAsync, [await lookUp(channel, host, port, options)], options);
    }
}

// The first address of a host that the socket can use.
async function lookUp(socket, host, port, options) {
    const {lookup_by_name_async: start, lookup_by_name_finish: finish} = Gio.Resolver.prototype;
    const method = {name: `look “${host}” up`, start, finish};
    const found = await call(Gio.Resolver.get_default(), method, [host], options);
    return pickAddress(socket, found, port);
}

function pickAddress(socket, addresses, port) {
    const fitting = addresses.find(address => socket.fd === -1 || address.family === socket.family);
    return new Gio.InetSocketAddress({address: fitting ?? addresses[0], port});
}

// How many were sent at once since one waited, and after how many the next does.
const N_SENT = Symbol('n sent');
const SENDS = 128;

function patchSending(Usock) {
    const {prototype} = Usock.Channel;
    const {post, send, send_now, send_with_fds, send_message, send_messages} = prototype;
    promisify(prototype, 'send_message');

    // Sends a Uint8Array or another view, an ArrayBuffer, a string as UTF-8, a GLib.Bytes or a
    // Usock.Message. offset and length count bytes. fds are numbers, or objects with a get_fd() or
    // an fd; they stay the caller's.
    prototype.send = function (data, options) {
        if (options === undefined && (typeof data === 'string' || isUint8Array(data))) {
            const sent = send.call(this, data);
            passed(0, data.length);
            return sent;
        }
        const {offset, length, fds} = told(options, 'offset', 'length', 'fds');
        if (data instanceof Usock.Message)
            return send_message.call(this, whole(data, {offset, length, fds}));
        const content = slice(asBytes(data), offset, length);
        passed(0, content.length);
        return fds === undefined
            ? send.call(this, content)
            : send_with_fds.call(this, content, asFds(fds));
    };

    // How many bytes wait, or -1 for all of it. After so many that did not wait one does, so that
    // who sends without end leaves room for others.
    const sendNow = (self, content, cancellable) => {
        if (self[N_SENT] >= SENDS || cancellable?.is_cancelled())
            return -1;
        self[N_SENT] = (self[N_SENT] ?? 0) + 1;
        passed(0, content.length);
        return send_now.call(self, content);
    };

    // Sends like send(), but waits for room: when it resolves, the kernel has the message.
    prototype.send_async = async function (data, options) {
        const {timeout, cancellable, ...rest} = options === undefined
            ? {} : told(options, 'offset', 'length', 'fds', 'timeout', 'cancellable');
        const wait = options === undefined ? FOR_EVER : asWait({timeout, cancellable});
        let message;
        if (rest.fds === undefined && !(data instanceof Usock.Message)) {
            const content = slice(asBytes(data), rest.offset, rest.length);
            const left = sendNow(this, content, wait.cancellable);
            if (left > 0)
                await this.flush(wait);
            if (left >= 0)
                return true;
            message = asMessage(Usock, content, {});
        } else {
            message = asMessage(Usock, data, rest);
        }
        this[N_SENT] = 0;
        return this.send_message_async(message, wait);
    };

    prototype.send_text = function (text) {
        return send.call(this, asText(text));
    };
    prototype.send_with_fds = function (data, fds) {
        return this.send(data, {fds});
    };
    // Hands what send() takes to the thread that owns the channel.
    prototype.post = function (data, options = {}) {
        return post.call(this, asMessage(Usock, data, told(options, 'offset', 'length', 'fds')));
    };
    prototype.send_messages = function (messages) {
        return send_messages.call(this, [...messages].map(item => asMessage(Usock, item, {})));
    };
}

function patchReceiving(Usock) {
    const {prototype} = Usock.Channel;
    const {name, start, finish} = promisify(prototype, 'receive');
    const {take_messages, take_payloads, unread_messages} = prototype;
    const method = {
        name,
        start,
        finish(result) {
            return keptMessage(finish.call(this, result));
        },
        takeAhead(channel) {
            const messages = take_messages.call(channel, MESSAGES_AHEAD);
            if (messages.length > 0)
                keptAhead(channel, messages.length);
            return messages;
        },
        unread: (channel, items) =>
            unread_messages.call(channel, items.map(({value}) => value)),
    };
    const takePayloads = (channel, max) => {
        // GJS would free the array that a call which it refuses has not set.
        if (!(channel instanceof Usock.Channel))
            throw new TypeError('payloads are taken from a Usock.Channel');
        const [joined, lengths] = take_payloads.call(channel, max);
        passed(lengths.length, joined.length);
        if (lengths.length === 1)
            return [joined];
        let end = 0;
        return lengths.map(length => joined.slice(end, end += length));
    };
    // Those that wait get messages: what more there is than bytes goes back with them.
    const payload = {
        ...method,
        takeAhead: channel => takePayloads(channel, MESSAGES_AHEAD),
        unread: (channel, items) => unread_messages.call(channel, items.map(
            ({value}) => isUint8Array(value) ? Usock.Message.new(value) : value)),
    };
    const bytesOf = item => isUint8Array(item) ? item : item.data;
    // What is taken by hand: as many as there are, or no more than so many.
    prototype.take_messages = function (max = 0) {
        settle(this);
        return take_messages.call(this, max);
    };
    // The bytes of those that are nothing else, as an array of Uint8Arrays.
    prototype.take_payloads = function (max = 0) {
        checkNumber(max, 'count', 'max');
        settle(this);
        return takePayloads(this, max);
    };
    // The bytes of each message, for a loop that wants no more of it, and costs less so. Descriptors
    // that came along are closed.
    prototype.payloads = function () {
        return iterate(this, payload, undefined, bytesOf);
    };
    prototype.unread_messages = function (messages) {
        settle(this);
        return unread_messages.call(this, [...messages]);
    };
    const {pause} = prototype;
    prototype.pause = function () {
        settle(this);
        pause.call(this);
    };

    // Resolves with the next Usock.Message, or with null after the last one. A call whose time is
    // over, or which is cancelled, takes none.
    prototype.receive = function (options) {
        return take(this, method, [], options);
    };
    prototype.receive_async = function (...args) {
        return args.some(arg => typeof arg === 'function')
            ? start.apply(this, args)
            : this.receive(...args);
    };

    prototype[Symbol.asyncIterator] = function () {
        return iterate(this, method);
    };
}

function patchEnding(Usock) {
    const {prototype} = Usock.Channel;
    promisify(prototype, 'flush');
    promisify(prototype, 'end');
    promisify(prototype, 'close_gracefully');
    // Sends what send() takes, however full the queue is, and ends our side.
    const {end_with_message} = prototype;
    prototype.end_with_message = function (data, options = {}) {
        return end_with_message.call(this,
            asMessage(Usock, data, told(options, 'offset', 'length', 'fds')));
    };
    prototype.flush = function (options = undefined) {
        return this.flush_async(options);
    };
    patchClosing(prototype);
}

// The time is the method's own: what has not left by then is thrown away.
function patchClosing(prototype) {
    prototype.close_gracefully = function (timeout = -1, options = undefined) {
        if (typeof timeout !== 'object' || timeout === null)
            return this.close_gracefully_async(timeout, options);
        const {timeout: time, cancellable} = asWait(timeout);
        return this.close_gracefully_async(time, cancellable);
    };
}

// Bytes without borders: each receive waits in the same line as receive().
function patchStreams(Usock) {
    const {prototype} = Usock.Stream;
    promisify(prototype, 'connect_to_host');
    promisify(prototype, 'connect_to_connectable');
    const {connect_to_host, connect_to_host_async} = prototype;
    const asHost = host => checkText(host, 'Could not connect to');
    prototype.connect_to_host_async = function (host, ...rest) {
        return connect_to_host_async.call(this, asHost(host), ...rest);
    };
    prototype.connect_to_host = function (host, port, family = Gio.SocketFamily.INVALID) {
        return connect_to_host.call(this, asHost(host), port, family);
    };
    // Connects by TCP; resolves with the stream.
    prototype.open_host = async function (host, port, options = {}) {
        checkNumber(port, 'count', 'port');
        const {family = Gio.SocketFamily.INVALID, ...rest} =
            told(options, 'family', 'timeout', 'cancellable');
        await this.connect_to_host_async(host, port, family, rest);
        return this;
    };

    const {unread, take_lines, get_line_ending, was_cut_off} = prototype;
    const joined = (message, end) => Usock.Message.new(Uint8Array.of(...message.data, ...asBytes(end)));
    // What has to be put back for an item.
    const originals = {
        receive_exactly: ({value}) => value,
        receive_line: ({value, note}) => Usock.Message.new(value + note),
        receive_line_bytes: ({value, note}) => joined(value, note),
        receive_until: ({value, note}) =>
            value.get_flags() & Usock.MessageFlags.CUT_OFF ? value : joined(value, note),
        receive_text: ({value}) => Usock.Message.new(value),
    };
    const methods = {};
    for (const [name, original] of Object.entries(originals)) {
        methods[name] = {
            ...promisify(prototype, name),
            unread: (stream, items) =>
                items.reverse().forEach(item => unread.call(stream, original(item))),
        };
    }
    for (const name of ['receive_line', 'receive_line_bytes'])
        methods[name].note = stream => get_line_ending.call(stream) ?? '';
    methods.receive_until.note = (_stream, delimiter) => delimiter;
    Object.assign(methods.receive_line, {
        takeAhead(stream) {
            const lines = take_lines.call(stream, LINES_AHEAD);
            passed(lines.length, 0);
            return lines;
        },
        unpack(line) {
            const length = line.length - (line.endsWith('\r\n') ? 2 : 1);
            return {value: line.slice(0, length), note: line.slice(length)};
        },
        unread: (stream, items) => unread.call(stream,
            Usock.Message.new(items.map(({value, note}) => value + note).join(''))),
        // Of what was taken ahead, the stream does not know.
        serve(stream, {note}) {
            stream[LINE_ENDING] = note;
        },
    });
    for (const name of Object.keys(methods)) {
        if (name !== 'receive_line')
            methods[name].serve = stream => void delete stream[LINE_ENDING];
    }
    prototype.get_line_ending = function () {
        const ending = this[LINE_ENDING];
        return ending === undefined ? get_line_ending.call(this) : ending || null;
    };
    prototype.was_cut_off = function () {
        return this[LINE_ENDING] === undefined ? was_cut_off.call(this) : this[LINE_ENDING] === '';
    };
    prototype.unread = function (message) {
        settle(this);
        return unread.call(this, message);
    };
    prototype.take_lines = function (max = 0) {
        settle(this);
        return take_lines.call(this, max);
    };

    // Resolve with the next line, as text or as a Usock.Message, or with text of which no letter is
    // cut; null after the last.
    for (const name of ['receive_line', 'receive_line_bytes', 'receive_text']) {
        prototype[name] = function (options = undefined) {
            return take(this, methods[name], [], options);
        };
    }
    // Resolves with a Usock.Message of exactly that many bytes and descriptors, or with null after
    // the last byte.
    prototype.receive_exactly = function (nBytes, nFds = 0, options = undefined) {
        for (const number of [nBytes, nFds]) {
            if (!Number.isInteger(number) || number < 0 || number > 0x7fffffff) {
                return Promise.reject(
                    new RangeError(`${number} is not a number of bytes or descriptors`));
            }
        }
        kept(0, nBytes);
        return take(this, methods.receive_exactly, [nBytes, nFds], options);
    };
    // Resolves with a Usock.Message of all before the delimiter, or with null after the last byte.
    prototype.receive_until = function (delimiter, options = undefined) {
        let bytes;
        try {
            bytes = asBytes(delimiter);
        } catch (error) {
            return Promise.reject(error);
        }
        return take(this, methods.receive_until, [bytes], options);
    };

    // Iterates the lines, without what ended them; each may take as long as {timeout} says. What
    // follows the last line that was taken can be received otherwise.
    prototype.lines = function (options = {}) {
        const {timeout} = told(options, 'timeout');
        return iterate(this, methods.receive_line, {timeout});
    };

    // What is sent until action(), which may be a promise, is done leaves together.
    prototype.corked = async function (action) {
        this.cork();
        try {
            return await action(this);
        } finally {
            this.uncork();
        }
    };
}

// A destination is a text that says where, the sender of a message for one, a Gio.File or a
// Gio.SocketAddress. Hosts are looked up where the call is awaited.
function patchDatagrams(Usock) {
    const {prototype} = Usock.Dgram;
    const {bind_to_path, send_to, send_message_to_all} = prototype;
    const what = 'Could not send to';
    const sendTo = promisify(prototype, 'send_message_to_text');
    promisify(prototype, 'send_message_to');
    const {send_message_to_text_async} = prototype;
    prototype.send_message_to_text_async = function (message, destination, ...rest) {
        return send_message_to_text_async.call(this, message, checkText(destination, what), ...rest);
    };

    prototype.bind_to_path = function (path) {
        return bind_to_path.call(this, asPath(path, 'Could not bind to'));
    };
    // Receives on a place.
    prototype.bind = function (where) {
        const {path} = asPlace(Usock, where, 'Could not bind to');
        return path === undefined
            ? this.bind_to_address(where instanceof Gio.SocketAddress
                ? where : Usock.address_parse(where))
            : this.bind_to_path(path);
    };

    // Sends to a destination what send() takes.
    prototype.send_to = function (data, destination, options = {}) {
        const {offset, length, fds} = told(options, 'offset', 'length', 'fds');
        if (destination instanceof Gio.SocketAddress)
            return this.send_message_to(asMessage(Usock, data, options ?? {}), destination);
        if (fds !== undefined || data instanceof Usock.Message) {
            return this.send_message_to_all(asMessage(Usock, data, options ?? {}),
                [destination]) === 1;
        }
        const content = slice(asBytes(data), offset, length);
        passed(0, content.length);
        return send_to.call(this, content, asDestination(destination, what));
    };
    // Sends like send_to(), but waits for room: when it resolves, the receiver has the message.
    prototype.send_to_async = async function (data, destination, options = {}) {
        const {timeout, cancellable, ...rest} =
            told(options, 'offset', 'length', 'fds', 'timeout', 'cancellable');
        const message = asMessage(Usock, data, rest);
        const wait = {timeout, cancellable};
        if (destination instanceof Gio.SocketAddress) {
            await this.send_message_to_async(message, destination, wait);
            return;
        }
        const {host, port} = destination instanceof Gio.File
            ? {} : asPlace(Usock, destination, what);
        const text = host !== undefined ? `${host}:${port}` : asDestination(destination, what);
        await call(this, sendTo, [message, text], wait);
    };
    // Returns how many accepted it, and throws only if none did.
    prototype.send_message_to_all = function (message, destinations) {
        return send_message_to_all.call(this, message,
            [...destinations].map(destination => asDestination(destination, what)));
    };
}

// Immediate calls. A timeout is in milliseconds; -1 waits for ever, 0 not at all. A host is looked
// up, which also waits, and not for the timeout only.
function patchHandle(Usock) {
    const {prototype, new_socket, new_pair} = Usock.Handle;
    const {listen, accept, receive, recvmsg, bind_to_path, connect_to_path} = prototype;

    prototype.bind_to_path = function (path) {
        return bind_to_path.call(this, asPath(path, 'Could not bind to'));
    };
    prototype.connect_to_path = function (path, timeout = -1) {
        return connect_to_path.call(this, asPath(path, 'Could not connect to'), timeout);
    };
    Usock.Handle.new_socket = (family, type = Usock.SockType.STREAM, protocol = 0) =>
        new_socket(family, type, protocol);
    Usock.Handle.pair = (type = Usock.SockType.STREAM) => {
        const [, first, second] = new_pair(type);
        return [first, second];
    };
    patchHandleMaking(Usock);

    // Binds to a place; without one, to what the kernel chooses.
    prototype.bind = function (where = null) {
        if (where === null)
            return this.bind_to_address(null);
        const {path, address} = asReachable(Usock, this, where, 'Could not bind to');
        return path === undefined ? this.bind_to_address(address) : this.bind_to_path(path);
    };
    // Connects to a place. null parts from the peer of datagrams.
    prototype.open = function (where, options = -1) {
        const timeout = asTime(options);
        if (where === null)
            return this.connect_to_address(null, timeout);
        const {path, address} = asReachable(Usock, this, where, 'Could not connect to');
        return path === undefined
            ? this.connect_to_address(address, timeout)
            : this.connect_to_path(path, timeout);
    };
    prototype.listen = function (backlog = 0) {
        return listen.call(this, backlog);
    };
    // Returns the handle of a connection and the address of the peer.
    prototype.accept = function (options = -1) {
        return accept.call(this, asTime(options));
    };
    patchHandleSending(Usock);

    // Returns a Uint8Array, which may be empty, or null at the end.
    prototype.receive = function (maxSize = 65536, options = {}) {
        const {flags = 0, timeout = -1} = told(options, 'flags', 'timeout');
        checkNumber(maxSize, 'size', 'a size');
        checkNumber(flags, 'count', 'flags');
        const bytes = receive.call(this, maxSize, flags, asTimeout(timeout))?.toArray() ?? null;
        kept(1, bytes?.length ?? 0);
        return bytes;
    };
    // Returns a Usock.Message, or null at the end. With an array of sizes, it has segments.
    prototype.recvmsg = function (sizes = 65536, options = {}) {
        const {flags = 0, timeout = -1} = told(options, 'flags', 'timeout');
        const list = Array.isArray(sizes) ? sizes : [sizes];
        list.forEach(size => checkNumber(size, 'size', 'a size'));
        checkNumber(flags, 'count', 'flags');
        return keptMessage(list === sizes
            ? this.recvmsg_segments(sizes, flags, asTimeout(timeout))
            : recvmsg.call(this, sizes, flags, asTimeout(timeout)));
    };
    // Fills a Uint8Array or another view. Returns the message and how many bytes were written.
    prototype.recvmsg_into = function (view, options = {}) {
        if (!ArrayBuffer.isView(view) && !(view instanceof ArrayBuffer))
            throw new TypeError('a message is received into a Uint8Array, another view, or an ' +
                'ArrayBuffer');
        const target = new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
        const message = this.recvmsg(target.length, options);
        const bytes = message?.get_data() ?? new Uint8Array();
        target.set(bytes);
        return [message, bytes.length];
    };
}

function asTime(options) {
    const {timeout = -1} =
        typeof options === 'number' ? {timeout: options} : told(options, 'timeout');
    return asTimeout(timeout);
}

// A path or an address, of a host as well.
function asReachable(Usock, handle, where, what) {
    const {path, address, host, port} = asPlace(Usock, where, what);
    if (host === undefined)
        return {path, address};
    const found = Gio.Resolver.get_default().lookup_by_name(host, null);
    return {address: pickAddress(handle, found, port)};
}

function patchHandleMaking(Usock) {
    const {new_socket, new_connected, new_listening} = Usock.Handle;

    // Makes a handle and connects it: to a place, an array of host and port, or any
    // Gio.SocketConnectable.
    Usock.Handle.connected = (where, options = {}) => {
        const {type = Usock.SockType.STREAM, timeout = -1, cancellable = null} =
            told(options, 'type', 'timeout', 'cancellable');
        asWait({timeout, cancellable});
        checkNumber(type, 'int', 'type');
        if (Array.isArray(where)) {
            const [host, port] = where;
            where = Gio.NetworkAddress.new(checkText(host, 'Could not connect to'),
                checkNumber(port, 'count', 'port'));
        }
        const connectable = where instanceof Gio.NetworkAddress ||
            where instanceof Gio.NetworkService ? where : null;
        const {path, address, host, port} =
            connectable === null ? asPlace(Usock, where, 'Could not connect to') : {};
        if (path === undefined) {
            return new_connected(connectable ?? address ?? Gio.NetworkAddress.new(host, port), type,
                timeout, cancellable);
        }
        const handle = new_socket(Usock.Family.UNIX, type, 0);
        handle.connect_to_path(path, timeout);
        return handle;
    };
    // Makes a handle that listens, or receives datagrams, on a place.
    Usock.Handle.listening = (where, options = {}) => {
        const {type = Usock.SockType.STREAM, backlog = 0} = told(options, 'type', 'backlog');
        checkNumber(type, 'int', 'type');
        checkNumber(backlog, 'int', 'backlog');
        const {path, address} = asReachable(Usock, {fd: -1}, where, 'Could not listen on');
        if (path === undefined)
            return new_listening(address, type, backlog);
        const handle = new_socket(Usock.Family.UNIX, type, 0);
        handle.bind_to_path(path);
        if (type !== Usock.SockType.DGRAM)
            handle.listen(backlog);
        return handle;
    };
}

function patchHandleSending(Usock) {
    const {prototype} = Usock.Handle;
    const {sendmsg} = prototype;

    // A place, of which Gio.SocketAddress holds no more than 107 bytes of a path.
    const asAddress = (handle, where) => {
        if (where === null || where instanceof Gio.SocketAddress)
            return where;
        const what = 'Could not send to';
        const {path, address} = asReachable(Usock, handle, where, what);
        return path === undefined ? address : Usock.address_parse(asDestination(where, what));
    };

    // Returns how many bytes were sent, of what send() of a channel takes.
    prototype.send = function (data, options = {}) {
        const {destination = null, flags = 0, timeout = -1, offset, length} =
            told(options, 'destination', 'flags', 'timeout', 'offset', 'length');
        const content = slice(asBytes(data), offset, length);
        passed(0, content.length);
        return this.send_to(content, asAddress(this, destination), flags, asTimeout(timeout));
    };
    // Sends a Usock.Message, or what one is made of: bytes, or an array of them as segments.
    prototype.sendmsg = function (data, options = {}) {
        const {destination = null, flags = 0, timeout = -1, fds} =
            told(options, 'destination', 'flags', 'timeout', 'fds');
        const [first = '', ...rest] = Array.isArray(data) ? data : [data];
        const message = asMessage(Usock, first, {fds});
        for (const part of rest)
            message.append_bytes(asBytes(part));
        checkNumber(flags, 'count', 'flags');
        return sendmsg.call(this, message, asAddress(this, destination), flags, asTimeout(timeout));
    };
}

function patchPoll(Usock) {
    const {poll} = Usock;
    // Waits for one of several sockets. An item is a socket, for something to receive, or an array
    // of a socket, Usock.PollFlags and whatever else. Returns those that are ready, as pairs of
    // the item and its Usock.PollFlags: none when the time is over.
    Usock.poll = (items, timeout = -1, cancellable = null) => {
        const list = [...items];
        const parts = list.map(item => Array.isArray(item) ? item : [item, Usock.PollFlags.IN]);
        // GJS crashes when it takes an array of objects back because something else is wrong.
        if (!parts.every(([socket]) => socket instanceof Usock.Socket))
            throw new TypeError('what is polled is a Usock.Socket, or an array that begins with one');
        if (!parts.every(([, bits]) => Number.isInteger(bits) && bits >= 0 && bits <= 0xffff))
            throw new TypeError('what is polled for are Usock.PollFlags');
        asTimeout(timeout);
        if (cancellable !== null && !(cancellable instanceof Gio.Cancellable))
            throw new TypeError('what ends the waiting is a Gio.Cancellable');
        const ready = poll(parts.map(([socket]) => socket),
            parts.map(([, conditions]) => conditions), timeout, cancellable);
        return list.map((item, index) => [item, ready[index]]).filter(([, bits]) => bits !== 0);
    };
}

function patchServer(Usock) {
    const {prototype} = Usock.Server;
    const {listen_on_path, listen_on_address} = prototype;
    const {listen_on_name, listen_on_fd, listen_activated} = prototype;
    const {new_for_name} = Usock.Server;
    const what = 'Could not listen on';
    Usock.Server.new_for_name = name => new_for_name.call(Usock.Server, checkText(name, what));
    prototype.listen_on_path = function (path, backlog = 0) {
        return listen_on_path.call(this, asPath(path, what), backlog);
    };
    prototype.listen_on_name = function (name, backlog = 0) {
        return listen_on_name.call(this, checkText(name, what), backlog);
    };
    prototype.listen_on_fd = function (fd, backlog = 0) {
        return listen_on_fd.call(this, asOwnFd(fd), backlog);
    };
    prototype.listen_activated = function (name = null) {
        return listen_activated.call(this, asServiceName(name));
    };
    prototype.listen_on_address = function (address, backlog = 0) {
        return listen_on_address.call(this, address, backlog);
    };
    // Without a host, on all interfaces.
    const asHost = host => host === null ? null : checkText(host, what);
    const {set_group} = prototype;
    prototype.set_group = function (group) {
        return set_group.call(this, group === null ? null : checkText(group, 'Could not set the group'));
    };
    const {listen_on_host} = prototype;
    const {open_reuse_port_fd} = Usock.Server;
    Usock.Server.open_reuse_port_fd = (host, port) =>
        open_reuse_port_fd.call(Usock.Server, asHost(host), port);
    prototype.listen_on_host = function (host, port, backlog = 0) {
        return listen_on_host.call(this, asHost(host), port, backlog);
    };
    // Listens on a place, of which a host is looked up at once.
    prototype.listen = function (where, backlog = 0) {
        const {path, address, host, port} = asPlace(Usock, where, what);
        if (path !== undefined)
            return this.listen_on_path(path, backlog);
        return address === undefined
            ? this.listen_on_host(host, port, backlog)
            : this.listen_on_address(address, backlog);
    };
    promisify(prototype, 'close_gracefully');
    // Resolves with how many channels were cut.
    patchClosing(prototype);
    // Sends what send() takes to all channels; returns how many accepted it.
    const {broadcast} = prototype;
    prototype.broadcast = function (data, options = {}) {
        return broadcast.call(this,
            asMessage(Usock, data, told(options, 'offset', 'length', 'fds')));
    };
    // The channels that are there now, the oldest first.
    prototype[Symbol.iterator] = function () {
        const channels = Array.from({length: this.get_n_items()}, (_, i) => this.get_item(i));
        return channels[Symbol.iterator]();
    };
    patchAccepting(Usock);
}

function patchAccepting(Usock) {
    const {prototype} = Usock.Server;
    const {name, start, finish} = promisify(prototype, 'accept');
    const method = {
        name,
        start,
        finish(result) {
            try {
                return finish.call(this, result);
            } catch (error) {
                if (error.matches?.(Gio.IOErrorEnum, Gio.IOErrorEnum.CLOSED))
                    return null;
                throw error;
            }
        },
    };

    // Resolves with the channel of the next connection, or with null once the server is closed.
    prototype.accept = function (options = undefined) {
        return take(this, method, [], options);
    };
    // Each connection goes to one loop. What comes while none waits stays in the backlog.
    prototype[Symbol.asyncIterator] = function () {
        return iterate(this, method);
    };
}

// Calls between programs

// A descriptor that came with a value. Who takes it has to close it; else it is closed with the
// message that it came with.
class Descriptor {
    constructor(message, index) {
        this._message = message;
        this._index = index;
    }

    take() {
        return this._message.take_fd(this._index);
    }
}

// C text ends at a NUL.
function asPlainText(text) {
    if (text.includes('\0'))
        throw new TypeError('a text that is part of a call has no NUL in it');
    return text;
}

function bytesVariant(data) {
    return GLib.Variant.new_from_bytes(new GLib.VariantType('ay'), new GLib.Bytes(asBytes(data)),
        true);
}

const isBytes = value => ArrayBuffer.isView(value) || value instanceof ArrayBuffer ||
    value instanceof GLib.Bytes;

const isDescriptor = value => typeof value.get_fd === 'function' || Number.isInteger(value.fd);

function arrayVariant(child, children) {
    return GLib.Variant.new_array(new GLib.VariantType(child), children);
}

// The index of a descriptor among those that go along.
function asHandle(value, fds) {
    return GLib.Variant.new_handle(typeof value === 'number'
        ? checkNumber(value, 'int', 'a handle') : fds.push(value) - 1);
}

// A value of the type that it looks like. What has a get_fd() or an fd goes along as a descriptor.
function asVariant(value, fds) {
    switch (typeof value) {
    case 'string':
        return GLib.Variant.new_string(asPlainText(value));
    case 'boolean':
        return GLib.Variant.new_boolean(value);
    case 'bigint':
        return asNumber(value);
    case 'number':
        return Number.isSafeInteger(value)
            ? GLib.Variant.new_int64(value) : GLib.Variant.new_double(value);
    case 'undefined':
        return GLib.Variant.new_tuple([]);
    case 'object':
        return value === null ? GLib.Variant.new_tuple([]) : asContainer(value, fds);
    default:
        throw new TypeError(`a ${typeof value} is nothing that a call can take along`);
    }
}

function asContainer(value, fds) {
    const boxed = item => GLib.Variant.new_variant(asVariant(item, fds));
    if (value instanceof GLib.Variant)
        return value;
    if (isBytes(value))
        return bytesVariant(value);
    if (isDescriptor(value))
        return asHandle(value, fds);
    if (typeof value[Symbol.iterator] === 'function' && !(value instanceof Map))
        return arrayVariant('v', Array.from(value, boxed));
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    return arrayVariant('{sv}', entries.map(([key, item]) =>
        GLib.Variant.new_dict_entry(GLib.Variant.new_string(asPlainText(key)), boxed(item))));
}

function endOfType(text, at) {
    if ('am'.includes(text[at]))
        return endOfType(text, at + 1);
    if ('({'.includes(text[at])) {
        at++;
        while (!')}'.includes(text[at]))
            at = endOfType(text, at);
    }
    return at + 1;
}

// The types that stand one behind the other.
function typesIn(text) {
    const types = [];
    for (let at = 0, end; at < text.length; at = end) {
        end = endOfType(text, at);
        types.push(text.slice(at, end));
    }
    return types;
}

// A value of a type that was given.
function asTyped(value, kind, fds) {
    if (value instanceof GLib.Variant && value.get_type_string() === kind)
        return value;
    if (kind === 'v')
        return GLib.Variant.new_variant(asVariant(value, fds));
    if (kind === 'h')
        return asHandle(value, fds);
    if (kind === 'ay' && !Array.isArray(value))
        return bytesVariant(value);
    if (kind[0] === 'a')
        return asTypedArray(value, kind.slice(1), fds);
    if (kind[0] === 'm') {
        return GLib.Variant.new_maybe(new GLib.VariantType(kind.slice(1)),
            value === null || value === undefined ? null : asTyped(value, kind.slice(1), fds));
    }
    if (kind[0] === '(')
        return asTypedTuple(value, kind, fds);
    return asBasic(value, kind);
}

function asTypedArray(value, kind, fds) {
    if (kind[0] !== '{')
        return arrayVariant(kind, Array.from(value, item => asTyped(item, kind, fds)));
    const [keyType, itemType] = typesIn(kind.slice(1, -1));
    const entries = value instanceof Map ? [...value]
        : Object.entries(value).map(([key, item]) => [asKey(key, keyType), item]);
    return arrayVariant(kind, entries.map(([key, item]) =>
        GLib.Variant.new_dict_entry(asTyped(key, keyType, fds), asTyped(item, itemType, fds))));
}

// The keys of an object are text, whatever they were.
function asKey(key, kind) {
    if (kind === 'b')
        return key === 'true' || (key === 'false' ? false : key);
    return 'sog'.includes(kind) ? key : Number(key);
}

function asTypedTuple(value, kind, fds) {
    const types = typesIn(kind.slice(1, -1));
    const items = types.length === 0 && !value ? [] : [...value];
    if (items.length !== types.length)
        throw new TypeError(`${kind} takes ${types.length} items, not ${items.length}`);
    return GLib.Variant.new_tuple(items.map((item, i) => asTyped(item, types[i], fds)));
}

const INTEGERS = {
    y: [0, 0xff], n: [-0x8000, 0x7fff], q: [0, 0xffff], i: [-0x80000000, 0x7fffffff],
    u: [0, 0xffffffff], x: [-(2n ** 63n), 2n ** 63n - 1n], t: [0, 2n ** 64n - 1n],
};
const NAMES = {x: 'int64', t: 'uint64'};

function asBasic(value, kind) {
    const range = INTEGERS[kind];
    if (range !== undefined) {
        if (typeof value !== 'bigint' && !Number.isSafeInteger(value))
            throw new TypeError(`${show(value)} is no whole number, as ${kind} is`);
        if (value < range[0] || value > range[1])
            throw new RangeError(`${value} is out of the range of ${kind}`);
        return kind in NAMES ? GLib.Variant.parse(null, `${NAMES[kind]} ${value}`, null, null)
            : new GLib.Variant(kind, Number(value));
    }
    const wanted = {b: 'boolean', d: 'number'}[kind] ?? 'string';
    if (typeof value !== wanted)
        throw new TypeError(`${show(value)} is no ${wanted}, as ${kind} is`);
    return new GLib.Variant(kind, wanted === 'string' ? asPlainText(value) : value);
}

// What a value is in JavaScript.
function fromVariant(value, message) {
    const kind = value.get_type_string();
    const children = () => Array.from({length: value.n_children()},
        (_, i) => fromVariant(value.get_child_value(i), message));
    switch (kind) {
    case 'ay':
        return value.get_data_as_bytes().toArray();
    case 'h':
        return new Descriptor(message, value.get_handle());
    case 'v':
        return fromVariant(value.get_variant(), message);
    case 'x':
    case 't': {
        const number = BigInt(value.print(false));
        const small = Number(number);
        return Number.isSafeInteger(small) ? small : number;
    }
    case '()':
        return null;
    }
    if (kind.startsWith('a{'))
        return fromEntries(kind[2], children());
    if (kind[0] === 'm')
        return children()[0] ?? null;
    return 'a({'.includes(kind[0]) ? children() : value.unpack();
}

// A name that is a prototype's, __proto__ for one, is an entry like any other.
function fromEntries(key, entries) {
    return 'sog'.includes(key) ? Object.fromEntries(entries) : new Map(entries);
}

function fromBody(Usock, message) {
    switch (message.get_kind()) {
    case Usock.BodyKind.VARIANT:
        return fromVariant(message.get_variant(), message);
    case Usock.BodyKind.TEXT:
        return message.text;
    case Usock.BodyKind.BYTES:
        return message.data;
    default:
        return null;
    }
}

// A message of what goes along with a call, an answer or a post; null for nothing.
function asBody(Usock, value, {signature, fds = []}) {
    if (value instanceof Usock.Message) {
        if (signature !== undefined || fds.length > 0)
            throw new TypeError('a Usock.Message is sent as what it is, with its descriptors');
        return value;
    }
    const all = [...fds];
    const isNothing = value === null || value === undefined;
    let body;
    if (signature !== undefined)
        body = Usock.Message.new_from_variant(asTyped(value, asSignature(signature), all));
    else if (isNothing && all.length === 0)
        return null;
    else if (typeof value === 'string')
        body = newFromText(asPlainText(value));
    else if (isNothing || isBytes(value))
        body = Usock.Message.new(isNothing ? new Uint8Array() : asBytes(value));
    else
        body = Usock.Message.new_from_variant(asVariant(value, all));
    asFds(all).forEach(fd => body.append_fd(fd));
    kept(1, body.get_length());
    return body;
}

function asSignature(signature) {
    if (typeof signature !== 'string' || !GLib.VariantType.string_is_valid(signature) ||
        !new GLib.VariantType(signature).is_definite())
        throw new TypeError(`“${String(signature)}” is no signature`);
    return signature;
}

let newFromText;

// Nothing but its text leaves of what is no error of the library.
function asReason(error) {
    if (error instanceof GLib.Error)
        return error;
    return new Gio.IOErrorEnum({
        code: Gio.IOErrorEnum.FAILED,
        message: (error instanceof Error ? error.message || error.name : String(error)) || 'Error',
    });
}

function asCallName(name) {
    if (typeof name !== 'string' || name === '' || new TextEncoder().encode(name).length > 255)
        throw new TypeError('the name of a call is a text of 1 to 255 bytes');
    return asPlainText(name);
}

function patchCall(Usock) {
    const {prototype} = Usock.Call;
    const {reply, reply_error} = prototype;
    Object.defineProperties(prototype, {
        name: {
            get() {
                return this.get_name();
            },
        },
        // What came along: text, a Uint8Array, null, or what a value is made of.
        body: {
            get() {
                return fromBody(Usock, this.get_body());
            },
        },
        cancellable: {
            get() {
                return this.get_cancellable();
            },
        },
    });
    // Answers with text, bytes, null, or a value, of the type {signature} if it is given.
    prototype.reply = function (value = null, options = {}) {
        return reply.call(this, asBody(Usock, value, told(options, 'signature', 'fds')));
    };
    // Answers with an error, or whatever was thrown.
    prototype.reply_error = function (error) {
        return reply_error.call(this, asReason(error));
    };
}

async function answer(call, handler, options) {
    try {
        const value = await handler(call.body, call);
        if (!call.is_answered())
            call.reply(value, options);
    } catch (error) {
        if (!call.is_answered())
            call.reply_error(error);
    }
}

function patchPeer(Usock) {
    patchCall(Usock);
    const {prototype} = Usock.Peer;
    const {handle_with_closure, post, _init} = prototype;
    const asked = promisify(prototype, 'call');
    promisify(prototype, 'call_variant');
    prototype._init = function (properties, ...rest) {
        return _init.call(this, properties instanceof Usock.Channel ? {channel: properties}
            : properties, ...rest);
    };

    // Resolves with what the other side answers, or rejects with its error. {message: true} is for
    // who wants the Usock.Message.
    prototype.call = async function (name, body = null, options = {}) {
        const {timeout = -1, cancellable = null, message = false, ...rest} =
            told(options, 'timeout', 'cancellable', 'message', 'signature', 'fds');
        asWait({timeout, cancellable});
        const answered = await call(this, asked,
            [asCallName(name), asBody(Usock, body, rest), timeout], {cancellable});
        kept(1, answered.get_length());
        return message ? answered : fromBody(Usock, answered);
    };
    // Tells the other side something, to which there is no answer.
    prototype.post = function (name, body = null, options = {}) {
        return post.call(this, asCallName(name),
            asBody(Usock, body, told(options, 'signature', 'fds')));
    };
    // Has a function, which may be async, answer all calls of a name. It gets what came along and
    // the Usock.Call, and what it returns is the answer.
    prototype.handle = function (name, handler, options = {}) {
        const {signature} = told(options, 'signature');
        if (typeof handler !== 'function')
            throw new TypeError('what handles calls is a function');
        if (signature !== undefined)
            asSignature(signature);
        // A function would be given a call that is gone after the first await.
        handle_with_closure.call(this, asCallName(name), (_peer, each) => {
            kept(1, each.get_body().get_length());
            answer(each, handler, {signature});
        });
    };
    for (const name of ['call_async', 'call_variant_async', 'handle_with_closure', 'post_variant',
        'unhandle']) {
        const method = prototype[name];
        prototype[name] = function (callName, ...rest) {
            return method.call(this, asCallName(callName), ...rest);
        };
    }

    // What it is in JavaScript.
    Object.defineProperty(Usock.Message.prototype, 'body', {
        get() {
            return fromBody(Usock, this);
        },
    });
}

// A connection that comes back

// The channels of a client, one after the other, until it is stopped.
async function *connections(client) {
    const {CLOSED, NOT_CONNECTED} = Gio.IOErrorEnum;
    let channel = null;
    for (;;) {
        try {
            if (channel !== null && client.channel === channel)
                await gone(client);
            channel = await client.connected();
        } catch (error) {
            if ([CLOSED, NOT_CONNECTED].some(code => error.matches?.(Gio.IOErrorEnum, code)))
                return;
            throw error;
        }
        yield channel;
    }
}

// Waits for the end of the connection that there is.
function gone(client) {
    return new Promise(resolve => {
        const handler = client.connect('disconnected', () => {
            client.disconnect(handler);
            resolve();
        });
    });
}

const HANDLERS = Symbol('handlers');

function asClientType(Usock, type) {
    const gtype = type?.$gtype ?? type;
    try {
        if ([Usock.Seqpacket, Usock.Stream].some(base => GObject.type_is_a(gtype, base)))
            return gtype;
    } catch {
        // It is no type at all.
    }
    throw new TypeError('a channel_type of a client is UsockSeqpacket, UsockStream or a class of ' +
        `them, which ${gtype?.name ?? show(type)} is not`);
}

function patchClient(Usock) {
    const {prototype} = Usock.Client;
    const {_init, connect, start_for_path, start_for_name, start_for_host} = prototype;
    const {send_message} = prototype;
    const what = 'Could not connect to';
    const sent = promisify(prototype, 'send_message');
    const waited = promisify(prototype, 'wait');

    Usock.Client.new = type => new Usock.Client({channel_type: type});
    // Is given the class of its channels, or properties.
    prototype._init = function (properties = {}, ...rest) {
        const given = typeof properties === 'function' || properties?.name !== undefined
            ? {channel_type: properties} : properties;
        const types = Object.entries(given ?? {}).filter(([key]) => nameOf(key) === 'channel_type');
        types.forEach(([, type]) => asClientType(Usock, type));
        _init.call(this, given, ...rest);
        this[HANDLERS] = new Map();
    };
    prototype.connect = function (signal, handler) {
        if (!['uncertain', 'unsent'].includes(signal) || typeof handler !== 'function')
            return connect.call(this, signal, handler);
        return connect.call(this, signal, (emitter, message, ...rest) => {
            keptMessage(message);
            return handler(emitter, message, ...rest);
        });
    };

    prototype.start_for_path = function (path) {
        return start_for_path.call(this, asPath(path, what));
    };
    prototype.start_for_name = function (name) {
        return start_for_name.call(this, checkText(name, what));
    };
    prototype.start_for_host = function (host, port) {
        return start_for_host.call(this, checkText(host, what), port);
    };
    // Connects to a place, and does so again until it is stopped.
    prototype.start = function (where) {
        const {path, address, host, port} = asPlace(Usock, where, what);
        if (path !== undefined)
            return this.start_for_path(path);
        return address === undefined
            ? this.start_for_host(host, port)
            : this.start_for_address(address);
    };

    // Sends what Usock.Channel.send() takes, now or as soon as there is a connection.
    prototype.send = function (data, options = {}) {
        return send_message.call(this,
            asMessage(Usock, data, told(options, 'offset', 'length', 'fds')));
    };
    // Resolves when the kernel has the message. When the time is over before, it is not sent.
    prototype.send_async = async function (data, options = {}) {
        const {timeout, cancellable, ...rest} =
            told(options, 'offset', 'length', 'fds', 'timeout', 'cancellable');
        return call(this, sent, [asMessage(Usock, data, rest)], {timeout, cancellable});
    };
    prototype.send_text = function (text) {
        return this.send(asText(text));
    };
    prototype.send_bytes = function (bytes) {
        return this.send(bytes);
    };

    // Resolves with the channel, once there is one.
    prototype.connected = function (options = undefined) {
        return call(this, waited, [], options);
    };
    // Resolves with what the other side answers, over the connection there is or the next one. It is
    // not asked again when the connection ends before it has answered: that is an error.
    prototype.call = async function (name, body = null, options = {}) {
        const {timeout = -1, cancellable = null, message, ...rest} =
            told(options, 'timeout', 'cancellable', 'message', 'signature', 'fds');
        asWait({timeout, cancellable});
        const asked = asBody(Usock, body, rest);
        const due = GLib.get_monotonic_time() + timeout * 1000;
        const left = () => timeout < 0 ? -1
            : Math.max(0, Math.ceil((due - GLib.get_monotonic_time()) / 1000));
        asCallName(name);
        let peer = null;
        while (peer === null) {
            await this.connected({timeout: left(), cancellable});
            peer = this.get_peer();
        }
        return peer.call(name, asked, {timeout: left(), cancellable, message});
    };
    // Has a function answer all calls of a name, as Usock.Peer.handle() does, on this and each later
    // connection.
    prototype.handle = function (name, handler, options = {}) {
        const set = peer => peer.handle(name, handler, options);
        const handlers = this[HANDLERS];
        if (handlers.size === 0) {
            connect.call(this, 'connected', client => {
                const peer = client.get_peer();
                client[HANDLERS].forEach(each => each(peer));
            });
        }
        const peer = this.get_peer();
        if (peer !== null)
            set(peer);
        handlers.set(asCallName(name), set);
    };

    prototype[Symbol.asyncIterator] = function () {
        return connections(this);
    };
    if (Symbol.dispose)
        prototype[Symbol.dispose] = prototype.stop;
}

// After an await the script is itself a job of a promise's, and GJS begins none within another. All
// jobs are done by one source of the default context.
function keepsPromises() {
    let settled = false;
    Promise.resolve().then(() => (settled = true));
    GLib.MainContext.default().iteration(false);
    return !settled;
}

function _init() {
    const Usock = this;

    ['all', 'any', 'race'].forEach(watchRaces);

    newFromText = Usock.Message.new_from_text;
    patchMessage(Usock);
    patchSocket(Usock);
    patchStealing(Usock);
    patchNames(Usock);
    patchOptions(Usock);
    patchConnecting(Usock);
    patchSending(Usock);
    patchReceiving(Usock);
    patchEnding(Usock);
    patchStreams(Usock);
    patchDatagrams(Usock);
    patchHandle(Usock);
    patchPoll(Usock);
    patchServer(Usock);
    patchPeer(Usock);
    patchClient(Usock);
    patchNumbers(Usock);

    for (const type of [Usock.Seqpacket, Usock.Stream, Usock.Dgram, Usock.Handle]) {
        const {new_from_fd} = type;
        type.new_from_fd = fd => new_from_fd.call(type, asOwnFd(fd));
        const {new_from_bound_fd} = type;
        if (new_from_bound_fd)
            type.new_from_bound_fd = fd => new_from_bound_fd.call(type, asOwnFd(fd));
    }

    // Returns two channels that are connected with each other.
    for (const type of [Usock.Seqpacket, Usock.Stream, Usock.Dgram]) {
        type.pair = function () {
            const [, first, second] = type.new_pair();
            return [first, second];
        };
    }

    // Starts a program that has the other end; returns the channel, or the peer, and the
    // Gio.Subprocess.
    for (const type of [Usock.Seqpacket, Usock.Stream, Usock.Peer]) {
        const {spawn} = type;
        type.spawn = (argv, flags = Gio.SubprocessFlags.NONE) =>
            spawn.call(type, asArguments(argv), checkNumber(flags, 'count', 'flags'));
    }

    const {address_parse, notify, run_until_closed} = Usock;
    const {new_for_interface} = Usock.PacketAddress;
    Usock.PacketAddress.new_for_interface = (name, protocol) =>
        new_for_interface.call(Usock.PacketAddress, checkText(name, 'Could not find'), protocol);
    Usock.address_parse = text => address_parse(checkText(text, 'Could not parse the address'));
    // Tells the service manager. fds are numbers or objects with a get_fd(), for FDSTORE=1.
    Usock.notify = (state, fds = []) =>
        notify(checkText(state, 'Could not notify the service manager of'), asFds(fds));
    // Runs the context until no held socket is open there.
    Usock.run_until_closed = (context = null) => {
        if (keepsPromises()) {
            throw new Error('run_until_closed() after an await would keep all promises from ' +
                'settling: await the close signal, or loop over the server or channel instead');
        }
        run_until_closed(context);
    };
}

return _init;

})();
