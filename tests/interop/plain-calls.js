// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// A client for calls that knows nothing but doc/peer-protocol.md and Node's net module.
//
//   node plain-calls.js PATH

'use strict';

const assert = require('assert');
const net = require('net');

const HEADER = 32;
const [CALL, REPLY, ERROR, , , PIECE, REPLY_PIECE] = [1, 2, 3, 4, 5, 6, 7];
const [, BYTES, TEXT, VALUE] = [0, 1, 2, 3];
const PIECE_SIZE = 100000;

class Peer {
  constructor(path) {
    this.socket = net.connect(path);
    this.data = Buffer.alloc(0);
    this.serial = 0;
    this.calls = new Map();
    this.socket.on('data', data => this.receive(data));
  }

  send(type, serial, { kind = 0, name = '', signature = '', size, body = Buffer.alloc(0) }) {
    const whole = body.length <= PIECE_SIZE;
    const parts = [Buffer.from(name), Buffer.from(signature), whole ? body : Buffer.alloc(0)];
    const header = Buffer.alloc(HEADER);
    header.set([1, type, kind, 0]);
    header.writeUInt32LE(HEADER + parts.reduce((sum, part) => sum + part.length, 0), 4);
    header.writeUInt32LE(serial, 8);
    header.writeBigUInt64LE(BigInt(size ?? body.length), 16);
    header.writeUInt16LE(parts[0].length, 24);
    header.writeUInt8(parts[1].length, 26);
    this.socket.write(Buffer.concat([header, ...parts]));
    for (let at = 0; !whole && at < body.length; at += PIECE_SIZE)
      this.send(type === REPLY ? REPLY_PIECE : PIECE, serial,
        { size: at, body: body.subarray(at, at + PIECE_SIZE) });
  }

  receive(data) {
    this.data = Buffer.concat([this.data, data]);
    while (this.data.length >= HEADER && this.data.length >= this.data.readUInt32LE(4)) {
      const [frame, nName] = [this.data.subarray(0, this.data.readUInt32LE(4)), this.data.readUInt16LE(24)];
      const body = frame.subarray(HEADER + nName + frame[26]);
      this.data = this.data.subarray(frame.length);
      this.answer(frame[1], frame.readUInt32LE(8), frame, body);
    }
  }

  answer(type, serial, frame, body) {
    const call = this.calls.get(serial);
    if (type === CALL) // What the other side asks is what it gets.
      this.send(REPLY, serial, { kind: frame[2], body });
    else if (type === ERROR)
      call.reject(Object.assign(new Error(body.toString()), { code: frame.readInt32LE(12) }));
    else if (type === REPLY || type === REPLY_PIECE) {
      call.size ??= Number(frame.readBigUInt64LE(16));
      call.parts.push(body);
      const got = Buffer.concat(call.parts);
      if (got.length === call.size)
        call.resolve(got);
    }
  }

  call(name, body, kind = BYTES, signature = '') {
    return new Promise((resolve, reject) => {
      this.calls.set(++this.serial, { resolve, reject, parts: [] });
      this.send(CALL, this.serial, { kind, name, signature, body });
    });
  }
}

async function main() {
  const peer = new Peer(process.argv[2]);
  const numbers = Buffer.alloc(8);
  numbers.writeInt32LE(40, 0);
  numbers.writeInt32LE(2, 4);
  const large = Buffer.alloc(3000000, 'large');
  const [text, sum, back, whole] = await Promise.all([
    peer.call('Echo', Buffer.from('tëxt'), TEXT), peer.call('Add', numbers, VALUE, '(ii)'),
    peer.call('CallBack', Buffer.from('back')), peer.call('Echo', large)]);
  assert.equal(text.toString(), 'tëxt');
  assert.equal(sum.readInt32LE(), 42);
  assert.equal(back.toString(), 'back');
  assert(whole.equals(large));
  await assert.rejects(peer.call('Nobody', Buffer.alloc(0)), { code: 15 });
  peer.socket.end();
}

main();
