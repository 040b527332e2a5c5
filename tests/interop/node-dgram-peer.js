// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// The other side of datagrams, by the npm module unix-dgram. See dgram-peer.c for the jobs.
// Only a connected socket of it is told of room; any other has to try again.
//
//   node node-dgram-peer.js WHERE JOB
//
// "zeros" is the abstract name of 107 zero bytes.

'use strict';

const { EAGAIN } = require('os').constants.errno;
const unix = require('unix-dgram');

const SEED = 42;
const [where, job, ...rest] = process.argv.slice(2).map(word => word === 'zeros' ? '\0' : word);
const [nMessages, longest] = rest.map(Number);
const [, , to, inFlight] = rest;

function sequenceHash(seed, i) {
  let h = (Math.imul(seed, 0x9e3779b1) + i) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}

function sequenceMessage(i) {
  const most = i % 16 === 15 ? longest : Math.min(longest, 1000);
  const data = Buffer.alloc(1 + sequenceHash(SEED, i) % most);
  for (let j = 0; j < data.length; j++)
    data[j] = SEED + i + j;
  return data;
}

function fail(what) {
  console.error(`node-dgram-peer: ${what}`);
  process.exit(1);
}

function check(data, i) {
  if (!data.equals(sequenceMessage(i)))
    fail(`another message ${i} of ${data.length} bytes`);
}

const socket = unix.createSocket('unix_dgram');
let nReceived = 0;
let nSent = 0;

socket.on('error', error => fail(error.message));

const outgoing = [];

function sendOutgoing() {
  const { data, path, done } = outgoing[0];
  socket.send(data, 0, data.length, path, error => {
    if (error && error.code !== -EAGAIN)
      fail(error.message);
    if (!error) {
      outgoing.shift();
      done();
    }
  });
  if (outgoing.length > 0)
    setImmediate(sendOutgoing);
}

function sendTo(data, path, done = () => {}) {
  outgoing.push({ data, path, done });
  if (outgoing.length === 1)
    setImmediate(sendOutgoing);
}

function sendAll() {
  while (nSent < nMessages)
    sendTo(sequenceMessage(nSent++), to);
  sendTo(Buffer.alloc(0), to, () => socket.close());
}

// What was refused stays ours until there is room.
function postAll() {
  while (nSent <= nMessages) {
    let full = false;
    socket.send(nSent < nMessages ? sequenceMessage(nSent) : Buffer.alloc(0), error => {
      full = error?.code === 1;
      if (error && !full)
        fail(error.message);
    });
    if (full) {
      socket.once('writable', postAll);
      return;
    }
    nSent++;
  }
  socket.close();
}

function sendMore() {
  while (nSent < nMessages && nSent - nReceived < inFlight)
    sendTo(sequenceMessage(nSent++), to);
}

const jobs = {
  check(data) {
    if (nReceived < nMessages)
      check(data, nReceived++);
    else if (data.length > 0)
      fail('one message too many');
    else
      socket.close();
  },
  echo(data, {path}) {
    sendTo(data, path, () => {
      if (++nReceived === nMessages)
        socket.close();
    });
  },
  exchange(data) {
    check(data, nReceived++);
    if (nReceived === nMessages)
      socket.close();
    else
      sendMore();
  },
};

if (jobs[job])
  socket.on('message', jobs[job]);
if (where !== '-')
  socket.bind(where);
if (job === 'exchange') {
  sendMore();
} else if (job === 'send') {
  sendAll();
} else if (job === 'post') {
  socket.connect(to);
  postAll();
}
