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

const {Gio, GLib, GObject} = imports.gi;
const System = imports.system;

const MESSAGES_PER_COLLECTION = 2000;
const BYTES_PER_COLLECTION = 16 << 20;

// What counts as how many messages and bytes, by the signal that brings it.
const DELIVERIES = {
    data: bytes => passed(1, bytes.length),
    datagram: bytes => passed(1, bytes.length),
    message: () => passed(1, 0),
    batch: batch => passed(batch.length, batch.reduce((sum, bytes) => sum + bytes.length, 0)),
    authorize: () => passed(1, 0),
    connection: () => passed(1, 0),
    drop: () => passed(1, 0),
};

const dropsCallbacks = System.version < 18190;
let messagesPassed = 0;
let bytesPassed = 0;

function passed(nMessages, nBytes) {
    messagesPassed += nMessages;
    bytesPassed += nBytes;
    if (dropsCallbacks &&
        (messagesPassed >= MESSAGES_PER_COLLECTION || bytesPassed >= BYTES_PER_COLLECTION)) {
        messagesPassed = bytesPassed = 0;
        System.gc();
    }
}

// What goes in

function asBytes(data) {
    if (typeof data === 'string')
        return new TextEncoder().encode(data);
    if (data instanceof Uint8Array)
        return data;
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
    const fd = typeof item?.get_fd === 'function' ? item.get_fd() : item;
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

function whole(message, {offset, length, fds}) {
    if (offset !== undefined || length !== undefined || fds !== undefined) {
        throw new TypeError(
            'a Usock.Message is sent whole, with the descriptors that are in it');
    }
    return message;
}

function asMessage(Usock, data, options = {}) {
    if (data instanceof Usock.Message)
        return whole(data, options);
    const content = slice(asBytes(data), options.offset, options.length);
    passed(0, content.length);
    const message = Usock.Message.new(content);
    for (const fd of asFds(options.fds ?? []))
        message.append_fd(fd);
    return message;
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

// Waiting

function call(start, finish) {
    return new Promise((resolve, reject) => {
        start((_source, result) => {
            try {
                resolve(finish(result));
            } catch (error) {
                reject(error);
            }
        });
    });
}

// Makes NAME_async() return a promise when it is given no callback, and the cancellable optional.
function promisify(prototype, name, nArgs) {
    const start = prototype[`${name}_async`];
    const finish = prototype[`${name}_finish`];
    prototype[`${name}_async`] = function (...args) {
        if (args.some(arg => typeof arg === 'function'))
            return start.apply(this, args);
        const given = args.slice(0, nArgs);
        const cancellable = args[nArgs] ?? null;
        return call(
            callback => start.call(this, ...given, cancellable, callback),
            result => finish.call(this, result));
    };
}

function patchMessage(Usock) {
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
    const {append_fd, append_fd_owned} = Usock.Message.prototype;
    Usock.Message.prototype.append_fd = function (fd) {
        return append_fd.call(this, asFd(fd));
    };
    Usock.Message.prototype.append_fd_owned = function (fd) {
        return append_fd_owned.call(this, asOwnFd(fd));
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
        return withBytes(steal_fd.call(this));
    };
    Usock.Stream.prototype.steal_connection = function () {
        return withBytes(steal_connection.call(this));
    };
}

function patchSocket(Usock) {
    if (!dropsCallbacks)
        return;
    for (const name of ['connect', 'connect_after']) {
        const connect = GObject.Object.prototype[name];
        Usock.Socket.prototype[name] = function (signal, handler) {
            const count = Object.hasOwn(DELIVERIES, signal) ? DELIVERIES[signal] : null;
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
}

function patchConnecting(Usock) {
    const {prototype} = Usock.Channel;
    const {connect_to_path, connect_to_path_async, connect_to_name} = prototype;
    const {connect_when_available_async} = prototype;
    const what = 'Could not connect to';
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
    promisify(prototype, 'connect', 1);
    promisify(prototype, 'connect_to_path', 1);
    promisify(prototype, 'connect_when_available', 2);

    for (const type of [Usock.Seqpacket, Usock.Stream]) {
        const {new_for_name} = type;
        type.new_for_name = name => new_for_name.call(type, checkText(name, what));
    }
    for (const type of [Usock.Seqpacket, Usock.Stream, Usock.Dgram]) {
        const {new_activated} = type;
        type.new_activated = (name = null) => new_activated.call(type, asServiceName(name));
    }

    // Connects to a path, a Gio.File or a Gio.SocketAddress; resolves with the channel.
    prototype.open = async function (where, cancellable = null) {
        if (where instanceof Gio.SocketAddress)
            await this.connect_async(where, cancellable);
        else
            await this.connect_to_path_async(where, cancellable);
        return this;
    };
}

function patchSending(Usock) {
    const {prototype} = Usock.Channel;
    const {post, send, send_with_fds, send_message, send_messages} = prototype;
    promisify(prototype, 'send_message', 1);

    // Sends a Uint8Array or another view, an ArrayBuffer, a string as UTF-8, a GLib.Bytes or a
    // Usock.Message. offset and length count bytes. fds are numbers or objects with a get_fd();
    // they stay the caller's.
    prototype.send = function (data, options = undefined) {
        if (options === undefined && (typeof data === 'string' || data instanceof Uint8Array)) {
            passed(0, data.length);
            return send.call(this, data);
        }
        const {offset, length, fds} = options ?? {};
        if (data instanceof Usock.Message)
            return send_message.call(this, whole(data, {offset, length, fds}));
        const content = slice(asBytes(data), offset, length);
        passed(0, content.length);
        return fds === undefined
            ? send.call(this, content)
            : send_with_fds.call(this, content, asFds(fds));
    };

    // Sends like send(), but waits for room: when it resolves, the kernel has the message.
    prototype.send_async = async function (data, {cancellable = null, ...options} = {}) {
        await this.send_message_async(asMessage(Usock, data, options), cancellable);
    };

    prototype.send_text = function (text) {
        return send.call(this, asText(text));
    };
    prototype.send_with_fds = function (data, fds) {
        return this.send(data, {fds});
    };
    // Hands what send() takes to the thread that owns the channel.
    prototype.post = function (data, options = {}) {
        return post.call(this, asMessage(Usock, data, options));
    };
    prototype.send_messages = function (messages) {
        return send_messages.call(this, [...messages].map(item => asMessage(Usock, item)));
    };
}

function patchReceiving(Usock) {
    const {prototype} = Usock.Channel;
    const {receive_async, receive_finish} = prototype;

    // Resolves with the next Usock.Message, or with null after the last one.
    prototype.receive = async function (cancellable = null) {
        const message = await call(
            callback => receive_async.call(this, cancellable, callback),
            result => receive_finish.call(this, result));
        passed(1, 0);
        return message;
    };
    prototype.receive_async = function (...args) {
        return args.some(arg => typeof arg === 'function')
            ? receive_async.apply(this, args)
            : this.receive(...args);
    };

    // Leaving the loop early closes the channel, once what was sent before has left.
    prototype[Symbol.asyncIterator] = function () {
        const channel = this;
        const cancellable = new Gio.Cancellable();
        return {
            async next() {
                const value = await channel.receive(cancellable);
                return {value, done: value === null};
            },
            async return(value) {
                cancellable.cancel();
                await finishSending(channel);
                channel.close();
                return {value, done: true};
            },
            [Symbol.asyncIterator]() {
                return this;
            },
        };
    };
}

async function finishSending(channel) {
    if (channel.queued_bytes === 0)
        return;
    try {
        await channel.flush();
    } catch (error) {
        // The channel has failed, of which its error signal tells.
    }
}

function patchEnding(Usock) {
    const {prototype} = Usock.Channel;
    promisify(prototype, 'flush', 0);
    promisify(prototype, 'end', 0);
    promisify(prototype, 'close_gracefully', 1);
    // Sends what send() takes, however full the queue is, and ends our side.
    const {end_with_message} = prototype;
    prototype.end_with_message = function (data, options = {}) {
        return end_with_message.call(this, asMessage(Usock, data, options));
    };
    prototype.flush = function (cancellable = null) {
        return this.flush_async(cancellable);
    };
    prototype.close_gracefully = function (timeout, cancellable = null) {
        return this.close_gracefully_async(timeout, cancellable);
    };
}

// Bytes without borders: each receive waits in the same line as receive().
function patchStreams(Usock) {
    const {prototype} = Usock.Stream;
    const {connect_to_host, connect_to_host_async} = prototype;
    const asHost = host => checkText(host, 'Could not connect to');
    prototype.connect_to_host_async = function (host, ...rest) {
        return connect_to_host_async.call(this, asHost(host), ...rest);
    };
    promisify(prototype, 'connect_to_host', 3);
    promisify(prototype, 'connect_to_connectable', 1);
    prototype.connect_to_host = function (host, port, family = Gio.SocketFamily.INVALID) {
        return connect_to_host.call(this, asHost(host), port, family);
    };
    // Connects by TCP; resolves with the stream.
    prototype.open_host = async function (
        host, port, {family = Gio.SocketFamily.INVALID, cancellable = null} = {}) {
        await this.connect_to_host_async(host, port, family, cancellable);
        return this;
    };

    const receivers = {receive_exactly: 2, receive_line: 0, receive_text: 0};
    for (const [name, nArgs] of Object.entries(receivers)) {
        promisify(prototype, name, nArgs);
        const receive = prototype[`${name}_async`];
        prototype[name] = async function (...args) {
            const result = await receive.apply(this, args);
            passed(1, typeof result === 'string' ? result.length : 0);
            return result;
        };
    }

    // Resolves with a Usock.Message of exactly that many bytes and descriptors, or with null after
    // the last byte.
    const {receive_exactly} = prototype;
    prototype.receive_exactly = async function (nBytes, nFds = 0, cancellable = null) {
        for (const number of [nBytes, nFds]) {
            if (!Number.isInteger(number) || number < 0 || number > 0x7fffffff)
                throw new RangeError(`${number} is not a number of bytes or descriptors`);
        }
        const message = await receive_exactly.call(this, nBytes, nFds, cancellable);
        passed(0, nBytes);
        return message;
    };

    // Iterates the lines, without what ended them. The stream stays open whenever the loop is left,
    // and what follows the last line that was taken can be received otherwise.
    prototype.lines = function () {
        const stream = this;
        const cancellable = new Gio.Cancellable();
        return {
            async next() {
                const value = await stream.receive_line(cancellable);
                return {value, done: value === null};
            },
            async return(value) {
                cancellable.cancel();
                return {value, done: true};
            },
            [Symbol.asyncIterator]() {
                return this;
            },
        };
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

// A destination is a text as in Usock.address_parse(), the sender of a message for one, a Gio.File
// or a Gio.SocketAddress.
function patchDatagrams(Usock) {
    const {prototype} = Usock.Dgram;
    const {bind_to_path, send_to, send_message_to_all} = prototype;
    const asDestination = destination => asPath(destination, 'Could not send to');
    promisify(prototype, 'send_to', 2);
    promisify(prototype, 'send_message_to', 2);
    const {send_to_async} = prototype;

    prototype.bind_to_path = function (path) {
        return bind_to_path.call(this, asPath(path, 'Could not bind to'));
    };
    // Receives on a path, a Gio.File or a Gio.SocketAddress.
    prototype.bind = function (where) {
        return where instanceof Gio.SocketAddress
            ? this.bind_to_address(where)
            : this.bind_to_path(where);
    };

    // Sends to a destination what send() takes.
    prototype.send_to = function (data, destination, options = {}) {
        if (destination instanceof Gio.SocketAddress)
            return this.send_message_to(asMessage(Usock, data, options), destination);
        if (options.fds !== undefined || data instanceof Usock.Message)
            return this.send_message_to_all(asMessage(Usock, data, options), [destination]) === 1;
        const content = slice(asBytes(data), options.offset, options.length);
        passed(0, content.length);
        return send_to.call(this, content, asDestination(destination));
    };
    // Sends like send_to(), but waits for room: when it resolves, the receiver has the message.
    prototype.send_to_async = async function (data, destination, options = {}) {
        const {cancellable = null, ...rest} = options;
        const message = asMessage(Usock, data, rest);
        if (destination instanceof Gio.SocketAddress)
            await this.send_message_to_async(message, destination, cancellable);
        else
            await send_to_async.call(this, message, asDestination(destination), cancellable);
    };
    // Returns how many accepted it, and throws only if none did.
    prototype.send_message_to_all = function (message, destinations) {
        return send_message_to_all.call(this, message, [...destinations].map(asDestination));
    };
}

// Immediate calls. A timeout is in milliseconds; -1 waits for ever, 0 not at all. A place is a
// path, a Gio.File or a Gio.SocketAddress.
function patchHandle(Usock) {
    const {prototype, new_socket, new_pair, new_connected, new_listening} = Usock.Handle;
    const {listen, accept, sendmsg, receive, recvmsg} = prototype;
    const {bind_to_path, connect_to_path} = prototype;

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

    // Makes a handle and connects it: to a path, a Gio.File, an array of host and port, which is
    // looked up, or any Gio.SocketConnectable.
    Usock.Handle.connected = (where, options = {}) => {
        const {type = Usock.SockType.STREAM, timeout = -1, cancellable = null} = options;
        if (Array.isArray(where))
            where = Gio.NetworkAddress.new(...where);
        if (where instanceof Gio.SocketAddress || where instanceof Gio.NetworkAddress ||
            where instanceof Gio.NetworkService)
            return new_connected(where, type, timeout, cancellable);
        const path = asPath(where, 'Could not connect to');
        const handle = new_socket(Usock.Family.UNIX, type, 0);
        handle.open(path, timeout);
        return handle;
    };
    // Makes a handle that listens, or receives datagrams, on a place.
    Usock.Handle.listening = (where, {type = Usock.SockType.STREAM, backlog = 0} = {}) => {
        if (where instanceof Gio.SocketAddress)
            return new_listening(where, type, backlog);
        const path = asPath(where, 'Could not bind to');
        const handle = new_socket(Usock.Family.UNIX, type, 0);
        handle.bind(path);
        if (type !== Usock.SockType.DGRAM)
            handle.listen(backlog);
        return handle;
    };

    // Binds to a place; without one, to what the kernel chooses.
    prototype.bind = function (where = null) {
        return where === null || where instanceof Gio.SocketAddress
            ? this.bind_to_address(where)
            : this.bind_to_path(where);
    };
    // Connects to a place. null parts from the peer of datagrams.
    prototype.open = function (where, timeout = -1) {
        return where === null || where instanceof Gio.SocketAddress
            ? this.connect_to_address(where, timeout)
            : this.connect_to_path(where, timeout);
    };
    prototype.listen = function (backlog = 0) {
        return listen.call(this, backlog);
    };
    // Returns the handle of a connection and the address of the peer.
    prototype.accept = function (timeout = -1) {
        return accept.call(this, timeout);
    };
    patchHandleSending(Usock, sendmsg);

    // Returns a Uint8Array, which may be empty, or null at the end.
    prototype.receive = function (maxSize = 65536, {flags = 0, timeout = -1} = {}) {
        const bytes = receive.call(this, maxSize, flags, timeout)?.toArray() ?? null;
        passed(1, bytes?.length ?? 0);
        return bytes;
    };
    // Returns a Usock.Message, or null at the end. With an array of sizes, it has segments.
    prototype.recvmsg = function (sizes = 65536, {flags = 0, timeout = -1} = {}) {
        const message = typeof sizes === 'number'
            ? recvmsg.call(this, sizes, flags, timeout)
            : this.recvmsg_segments([...sizes], flags, timeout);
        passed(1, message?.get_length() ?? 0);
        return message;
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

function patchHandleSending(Usock, sendmsg) {
    const {prototype} = Usock.Handle;

    // Returns how many bytes were sent, of what send() of a channel takes.
    prototype.send = function (data, options = {}) {
        const {destination = null, flags = 0, timeout = -1, offset, length} = options;
        const content = slice(asBytes(data), offset, length);
        passed(0, content.length);
        return this.send_to(content, destination, flags, timeout);
    };
    // Sends a Usock.Message, or what one is made of: bytes, or an array of them as segments.
    prototype.sendmsg = function (data, options = {}) {
        const {destination = null, flags = 0, timeout = -1, fds} = options;
        const [first = '', ...rest] = Array.isArray(data) ? data : [data];
        const message = asMessage(Usock, first, {fds});
        for (const part of rest)
            message.append_bytes(asBytes(part));
        return sendmsg.call(this, message, destination, flags, timeout);
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
        if (!parts.every(([, conditions]) => Number.isInteger(conditions)))
            throw new TypeError('what is polled for are Usock.PollFlags');
        if (!Number.isInteger(timeout))
            throw new TypeError('a timeout is a number of milliseconds');
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
    const {new_reuse_port_fd} = Usock.Server;
    Usock.Server.new_reuse_port_fd = (host, port) =>
        new_reuse_port_fd.call(Usock.Server, asHost(host), port);
    prototype.listen_on_host = function (host, port, backlog = 0) {
        return listen_on_host.call(this, asHost(host), port, backlog);
    };
    // Listens on a path, a Gio.File or a Gio.SocketAddress.
    prototype.listen = function (where, backlog = 0) {
        return where instanceof Gio.SocketAddress
            ? this.listen_on_address(where, backlog)
            : this.listen_on_path(where, backlog);
    };
    promisify(prototype, 'close_gracefully', 1);
    // Resolves with how many channels were cut.
    prototype.close_gracefully = function (timeout, cancellable = null) {
        return this.close_gracefully_async(timeout, cancellable);
    };
    // Sends what send() takes to all channels; returns how many accepted it.
    const {broadcast} = prototype;
    prototype.broadcast = function (data, options = {}) {
        return broadcast.call(this, asMessage(Usock, data, options));
    };
    // The channels that are there now, the oldest first.
    prototype[Symbol.iterator] = function () {
        const channels = Array.from({length: this.get_n_items()}, (_, i) => this.get_item(i));
        return channels[Symbol.iterator]();
    };
    // Leaving the loop early closes the server.
    prototype[Symbol.asyncIterator] = function () {
        return acceptedBy(this);
    };
}

async function* acceptedBy(server) {
    const channels = [];
    let closed = false;
    let wake = () => {};
    const handlers = [
        server.connect('connection', (_server, channel) => {
            channels.push(channel);
            wake();
        }),
        server.connect('close', () => {
            closed = true;
            wake();
        }),
    ];
    try {
        while (channels.length > 0 || !closed) {
            if (channels.length > 0)
                yield channels.shift();
            else
                await new Promise(resolve => (wake = resolve));
        }
    } finally {
        handlers.forEach(handler => server.disconnect(handler));
        channels.forEach(channel => channel.close());
        server.close();
    }
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

    patchMessage(Usock);
    patchSocket(Usock);
    patchStealing(Usock);
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

    for (const type of [Usock.Seqpacket, Usock.Stream, Usock.Dgram, Usock.Handle]) {
        const {new_from_fd} = type;
        type.new_from_fd = fd => new_from_fd.call(type, asOwnFd(fd));
    }

    // Returns two channels that are connected with each other.
    for (const type of [Usock.Seqpacket, Usock.Stream, Usock.Dgram]) {
        type.pair = function () {
            const [, first, second] = type.new_pair();
            return [first, second];
        };
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
