// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What errors say: what was tried, with whom, and why it failed.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Usock from 'gi://Usock?version=1';

import {equal, ok, rejects, run, throws} from './tap.js';
import {nullFd, testSocket, waitFor} from './fixture.js';

const {IOErrorEnum: Code} = Gio;
const {Family, SockType} = Usock;
const OWN_PID = Number(GLib.file_read_link('/proc/self'));

testSocket('a peer without a name is called by its process', async fixture => {
    for (const type of [Usock.Seqpacket, Usock.Stream, Usock.Dgram]) {
        const [first, second] = type.pair().map(channel => fixture.keep(channel));
        second.close();
        const error = await rejects((async () => {
            for (;;)
                await first.send_async('x');
        })(), Code);
        ok(error.message.includes(`“process ${OWN_PID}”`), error.message);
        first.close();
        const late = throws(() => first.send('x'), Code, Code.CLOSED);
        ok(late.message.includes(`“process ${OWN_PID}”`), late.message);
    }
});

testSocket('a peer of which nothing is known', async fixture => {
    const stream = fixture.keep(new Usock.Stream());
    const put = throws(() => stream.unread(Usock.Message.new('x')), Code);
    ok(put.message.includes('“a peer without a name”'), put.message);
});

testSocket('a file that is not a socket is in the way', fixture => {
    const {directory} = fixture;
    const file = `${directory}/file`;
    const long = `${directory}/${'n'.repeat(200)}`;
    GLib.file_set_contents(file, 'precious');
    GLib.file_set_contents(long, 'precious');
    for (const path of [file, long, directory]) {
        for (const bind of [
            () => fixture.keep(new Usock.Server()).listen_on_path(path, 0),
            () => fixture.keep(new Usock.Dgram()).bind_to_path(path),
            () => fixture.keep(Usock.Handle.new_socket(Family.UNIX, SockType.STREAM))
                .bind_to_path(path),
        ]) {
            const error = throws(bind, Code, Code.ADDRESS_IN_USE);
            ok(error.message.endsWith(`“${path}”: a file that is not a socket is in the way`),
                error.message);
            ok(!error.message.includes('/proc/'), error.message);
        }
    }
    fixture.serve();
    const taken = throws(() => fixture.keep(new Usock.Server()).listen(fixture.path), Code,
        Code.ADDRESS_IN_USE);
    ok(!taken.message.includes('in the way'), taken.message);
});

testSocket('another family is not another type', fixture => {
    const inet = Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.STREAM, 0);
    const stream = Gio.Socket.new(Gio.SocketFamily.UNIX, Gio.SocketType.STREAM, 0);
    const seqpacket = Gio.Socket.new(Gio.SocketFamily.UNIX, Gio.SocketType.SEQPACKET, 0);
    const told = (body, end) => {
        const error = throws(body, Code);
        ok(error.message.endsWith(end), error.message);
    };
    told(() => Usock.Seqpacket.new_from_fd(stream.fd), 'it is of another type');
    told(() => Usock.Stream.new_from_fd(seqpacket.fd), 'it is of another type');
    told(() => new Usock.Server().listen_on_fd(stream.fd), 'it is of another type');
    told(() => Usock.Seqpacket.new_from_fd(inet.fd), 'it is of another type');
    const any = 'addresses of this family are not supported here';
    const loopback = Usock.address_parse('127.0.0.1:1');
    told(() => new Usock.Seqpacket().connect_to_address(loopback), any);
    told(() => new Usock.Server().listen_on_address(loopback), any);
    const local = fixture.keep(Usock.Handle.new_socket(Family.UNIX, SockType.DGRAM));
    for (const body of [() => local.bind_to_address(loopback),
        () => local.connect_to_address(loopback, -1), () => local.send_to('x', loopback, 0, -1)])
        told(body, any);
    equal(local.get_error_number(), 22, 'what the kernel said');
    for (const socket of [inet, stream, seqpacket])
        socket.close();
});

testSocket('a family without a class of its own', fixture => {
    const handle = fixture.keep(Usock.Handle.new_socket(Family.NETLINK, SockType.DGRAM));
    equal([handle.family, handle.get_family()], [Family.NETLINK, Family.NETLINK]);
    const address = handle.get_local_address();
    equal(Usock.address_to_string(address), null);
    const error = throws(() => fixture.keep(new Usock.Dgram()).connect_to_address(address), Code,
        Code.NOT_SUPPORTED);
    ok(error.message.includes(`family ${Family.NETLINK}`), error.message);
});

testSocket('a type of GIO in place of one of the system', fixture => {
    for (const body of [
        () => Usock.Handle.new_socket(Family.UNIX, Gio.SocketType.SEQPACKET),
        () => Usock.Handle.pair(Gio.SocketType.SEQPACKET)])
        throws(body, Code, Code.INVALID_ARGUMENT);
    const [first] = Usock.Handle.pair(SockType.SEQPACKET).map(handle => fixture.keep(handle));
    equal(first.get_socket_type(), Gio.SocketType.SEQPACKET);
});

testSocket('UDP has a limit of its own', async fixture => {
    const receiver = fixture.keep(new Usock.Dgram());
    receiver.bind_to_address(Usock.address_parse('127.0.0.1:0'));
    const to = Usock.address_to_string(receiver.local_address);
    const told = error => ok(/of 70000 bytes.*UDP takes no more than 65507/.test(error.message),
        error.message);
    const large = new Uint8Array(70000);
    const sender = fixture.keep(new Usock.Dgram());
    told(throws(() => sender.send_to(large, to), Code, Code.MESSAGE_TOO_LARGE));
    const handle = fixture.keep(Usock.Handle.new_socket(Family.INET, SockType.DGRAM));
    told(throws(() => handle.send_to(large, receiver.local_address, 0, -1), Code,
        Code.MESSAGE_TOO_LARGE));
    sender.send_to(large.subarray(0, 65507), to);
    let got = 0;
    receiver.connect('data', (_socket, data) => (got = data.length));
    await waitFor(() => got === 65507);
});

testSocket('a server on a descriptor', fixture => {
    const file = nullFd();
    throws(() => new Usock.Server().listen_on_fd(file.get_fd()), Code, Code.INVALID_ARGUMENT);
    file.close(null);
    const socket = Usock.Handle.new_socket(Family.UNIX, SockType.SEQPACKET);
    const path = `${fixture.directory}/${'n'.repeat(150)}`;
    socket.bind_to_path(path);
    const server = fixture.keep(new Usock.Server());
    server.listen_on_fd(dup(socket.get_fd()));
    const error = throws(() => server.listen_on_path('/x', 0), Code, Code.EXISTS);
    ok(!error.message.includes('/proc/'), error.message);
    ok(/listens on “descriptor \d+” already/.test(error.message), error.message);
    socket.close();
});

function dup(fd) {
    const list = new Gio.UnixFDList();
    list.append(fd);
    const [copy] = list.steal_fds();
    return copy;
}

run();
