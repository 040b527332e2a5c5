// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// The other side of a conversation, by the npm module node-unix-socket. See peer.c for the jobs.
// Its sockets close by themselves when both sides have ended; ending or closing one
// once more aborts the process.
//
//   node node-peer.js listen|connect PATH JOB

'use strict';

const fs = require('fs');
const { SeqpacketServer, SeqpacketSocket } = require('node-unix-socket');

const SEED = 42;
const IN_FLIGHT = 32;
const [role, path, job, first, second, third] = process.argv.slice(2);

function sequenceHash(seed, i) {
  let h = (Math.imul(seed, 0x9e3779b1) + i) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}

function sequenceMessage(i, longest) {
  const most = i % 16 === 15 ? longest : Math.min(longest, 1000);
  const data = Buffer.alloc(1 + sequenceHash(SEED, i) % most);
  for (let j = 0; j < data.length; j++)
    data[j] = SEED + i + j;
  return data;
}

function fail(what) {
  console.error(`node-peer: ${what}`);
  process.exit(1);
}

function echo(socket, nMessages) {
  let n = 0;
  socket.on('data', data => {
    socket.write(data);
    if (++n === nMessages)
      socket.end();
  });
  if (nMessages === 0)
    socket.on('end', () => socket.end());
}

function exchange(socket, nMessages, longest, endFirst) {
  let sent = 0;
  let received = 0;
  let ended = false;
  const end = () => {
    if (!ended)
      socket.end();
    ended = true;
  };
  const sendMore = () => {
    while (sent < nMessages && sent - received < IN_FLIGHT)
      socket.write(sequenceMessage(sent++, longest));
    if (sent === nMessages && endFirst)
      end();
  };
  socket.on('data', data => {
    if (!data.equals(sequenceMessage(received, longest)))
      fail(`message ${received} came back with ${data.length} bytes`);
    received++;
    sendMore();
  });
  socket.on('end', () => {
    if (received !== nMessages)
      fail(`the end came after ${received} messages`);
    end();
  });
  sendMore();
}

function measure(socket) {
  socket.on('data', data => socket.write(Buffer.from(String(data.length))));
  socket.on('end', () => socket.end());
}

// What the other side sent is left unread, so the kernel resets the connection. That it was sent
// is known when standard input ends.
function finalWords(socket) {
  fs.readSync(0, Buffer.alloc(1));
  socket.write(Buffer.from('final words'));
  socket.destroy();
}

function converse(socket) {
  socket.on('error', error => fail(error.message));
  if (job === 'echo')
    echo(socket, Number(first ?? 0));
  else if (job === 'exchange')
    exchange(socket, Number(first), Number(second), third === 'first');
  else if (job === 'measure')
    measure(socket);
  else
    finalWords(socket);
}

if (role === 'listen') {
  const server = new SeqpacketServer();
  server.on('error', error => fail(error.message));
  server.on('connection', socket => {
    converse(socket);
    server.close();
  });
  server.listen(path);
} else {
  const socket = new SeqpacketSocket();
  socket.connect(path, () => converse(socket));
}
