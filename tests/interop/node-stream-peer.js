// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// The other side of a stream, by node's net or by the npm module usocket. See stream-peer.c for
// the jobs.
//
//   node node-stream-peer.js net|usocket listen|connect PATH JOB

'use strict';

const fs = require('fs');
const net = require('net');

const SEED = 42;
const [library, role, path, job, ...numbers] = process.argv.slice(2);
const [nFrames, longest, nFds, inFlight] = numbers.map(Number);

function sequenceHash(seed, i) {
  let h = (Math.imul(seed, 0x9e3779b1) + i) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
  return (h ^ (h >>> 16)) >>> 0;
}

function frame(i) {
  const most = i % 16 === 15 ? longest : Math.min(longest, 1000);
  const data = Buffer.alloc(4 + 1 + sequenceHash(SEED, i) % most);
  data.writeUInt32BE(data.length - 4);
  for (let j = 4; j < data.length; j++)
    data[j] = SEED + i + j - 4;
  return data;
}

function fail(what) {
  console.error(`node-stream-peer: ${what}`);
  process.exit(1);
}

// A descriptor is known by the size of its file.
function numberedFd(number) {
  const name = `${path}.${number}`;
  const fd = fs.openSync(name, 'w+');
  fs.unlinkSync(name);
  fs.ftruncateSync(fd, number);
  return fd;
}

function closeAll(fds) {
  fds.forEach(fd => fs.closeSync(fd));
}

function send(socket, data, fds) {
  if (library === 'usocket' && fds.length > 0)
    socket.write({ data, fds, callback: () => closeAll(fds) });
  else
    socket.write(data);
}

// Both libraries, as one: what comes is given as a buffer and an array of descriptors.
function listenTo(socket, received) {
  let fds = [];
  if (library === 'net') {
    socket.on('data', data => received(data, []));
    return;
  }
  socket.on('readable', () => {
    for (let read; (read = socket.read(null, null)) !== null;) {
      fds.push(...read.fds);
      if (!read.data)
        break;
      received(read.data, fds);
      fds = [];
    }
  });
  socket.read(0);
}

function echo(socket) {
  listenTo(socket, (data, fds) => send(socket, data, fds));
  socket.on('end', () => socket.end());
}

function exchange(socket) {
  let sent = 0;
  let received = 0;
  let bytes = Buffer.alloc(0);
  let fds = [];

  const sendMore = () => {
    while (sent < nFrames && sent - received < inFlight) {
      const own = [];
      for (let j = 0; j < sent % (nFds + 1); j++)
        own.push(numberedFd(sent * 10 + j));
      send(socket, frame(sent++), own);
    }
    if (received === nFrames)
      socket.end();
  };
  const checkFds = i => {
    const n = i % (nFds + 1);
    if (fds.length < n)
      fail(`frame ${i} has ${fds.length} descriptors`);
    const own = fds.splice(0, n);
    own.forEach((fd, j) => {
      if (fs.fstatSync(fd).size !== i * 10 + j)
        fail(`another descriptor with frame ${i}`);
    });
    closeAll(own);
  };

  listenTo(socket, (data, more) => {
    bytes = Buffer.concat([bytes, data]);
    fds.push(...more);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE()) {
      const length = 4 + bytes.readUInt32BE();
      if (!bytes.subarray(0, length).equals(frame(received)))
        fail(`another frame ${received}`);
      checkFds(received++);
      bytes = bytes.subarray(length);
    }
    sendMore();
  });
  socket.on('end', () => {
    if (received !== nFrames || bytes.length > 0 || fds.length > 0)
      fail(`the end came after ${received} frames`);
  });
  sendMore();
}

function converse(socket) {
  socket.on('error', error => fail(error.message));
  if (job === 'echo')
    echo(socket);
  else
    exchange(socket);
}

const { UServer, USocket } = library === 'usocket' ? require('usocket') : {};

if (role === 'listen') {
  const server = library === 'net' ? net.createServer({ allowHalfOpen: true }) : new UServer();
  server.on('error', error => fail(error.message));
  server.on('connection', socket => {
    converse(socket);
    server.close();
  });
  server.listen(path);
} else if (library === 'net') {
  const socket = net.connect({ path, allowHalfOpen: true }, () => converse(socket));
} else {
  const socket = new USocket();
  socket.on('connected', () => converse(socket));
  socket.connect(path);
}
