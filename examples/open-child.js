#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later
// Opens files of one directory for the parent that has started it: open-child.js DIRECTORY
import Gio from 'gi://Gio';
import System from 'system';
import Usock from 'gi://Usock?version=1';

const directory = Gio.File.new_for_path(System.programArgs[0]);
const peer = new Usock.Peer(Usock.Seqpacket.new_activated());
// A Gio.FileInputStream goes along as its descriptor.
peer.handle('Open', name => directory.get_child(Gio.File.new_for_path(name).get_basename()).read(null));
Usock.run_until_closed();
