// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// The other side of a conversation by TCP, by Node's own net. See tcp-peer.c for the jobs.
//
//   node tcp-peer.js listen HOST JOB     connect HOST PORT JOB

'use strict';

const net = require('net');

const [role, host, ...rest] = process.argv.slice(2);
const port = role === 'listen' ? 0 : Number(rest.shift());
const [job, count] = rest;
const nBytes = Number(count ?? 0);

function fail(what) {
  console.error(`tcp-peer: ${what}`);
  process.exit(1);
}

function pattern(from, length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++)
    bytes[i] = (from + i) % 251;
  return bytes;
}

function sendMore(socket) {
  while (socket.sent < nBytes) {
    const length = Math.min(10000, nBytes - socket.sent);
    const room = socket.write(pattern(socket.sent, length));
    socket.sent += length;
    if (!room && socket.sent < nBytes) {
      socket.once('drain', () => sendMore(socket));
      return;
    }
  }
  socket.end();
}

function begin(socket) {
  let received = 0;
  let failed = false;
  socket.sent = 0;
  socket.on('data', data => {
    if (job === 'echo' && !socket.write(data)) {
      socket.pause();
      socket.once('drain', () => socket.resume());
    }
    if (job === 'reset')
      socket.resetAndDestroy();
    if (job === 'exchange' && !data.equals(pattern(received, data.length)))
      fail('another byte than was sent');
    received += data.length;
  });
  socket.on('error', error => {
    failed = true;
    if (job !== 'broken' || error.code !== 'ECONNRESET')
      fail(error.message);
  });
  socket.on('end', () => job === 'echo' && socket.end());
  socket.on('close', () => {
    if (failed !== (job === 'broken'))
      fail('the connection did not end as it should');
    if (nBytes > 0 && received !== nBytes)
      fail(`the end came after ${received} bytes`);
  });
  if (job === 'exchange')
    sendMore(socket);
  else if (job === 'broken')
    socket.write('x');
}

if (role === 'listen') {
  const server = net.createServer({allowHalfOpen: true}, socket => {
    begin(socket);
    server.close();
  });
  server.listen(0, host, () => console.log(server.address().port));
} else {
  const socket = net.connect({port, host, allowHalfOpen: true}, () => begin(socket));
}
