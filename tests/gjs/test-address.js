// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Addresses from JavaScript: every sort as text and back, and what each tells.

import Gio from 'gi://Gio';
import Usock from 'gi://Usock?version=1';

import {equal, ok, run, test, throws} from './tap.js';

const {IOErrorEnum: Code} = Gio;

test('every sort', async () => {
    for (const [text, type] of [
        ['/run/example', Gio.UnixSocketAddress], ['@example\\x00\\xff', Gio.UnixSocketAddress],
        ['127.0.0.1:80', Gio.InetSocketAddress], ['[::1]:80', Gio.InetSocketAddress],
        ['[fe80::1%1]:80', Gio.InetSocketAddress], ['[%lo]:0x0003', Usock.PacketAddress],
        ['[02:00:00:00:00:01%lo]:0x0800', Usock.PacketAddress],
    ]) {
        const address = Usock.address_parse(text);
        ok(address instanceof type, `the type of ${text}`);
        equal(Usock.address_to_string(address), text);
    }
});

test('the link layer', async () => {
    const hardware = new Uint8Array([2, 0, 0, 0, 0, 1]);
    const address = Usock.PacketAddress.new(1, Usock.EtherType.ARP, hardware);
    equal(address.get_hardware_address().toArray(), hardware);
    equal(address.hardware_address.get_size(), 6);
    equal([address.protocol, address.interface_index, address.packet_type], [0x806, 1, 0]);
    equal(address.to_string(), '[02:00:00:00:00:01%lo]:0x0806');
    equal(address.dup_interface_name(), 'lo');
});

test('a missing interface', async () => {
    throws(() => Usock.PacketAddress.new_for_interface('nowhere', 3), Code, Code.NOT_FOUND);
    throws(() => Usock.address_parse('[%nowhere]:0x0003'), Code, Code.NOT_FOUND);
});

run();
