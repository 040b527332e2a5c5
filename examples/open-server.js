#!/usr/bin/gjs -m
// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Opens files of one directory for who may not, a sandboxed parent: open-server.js PATH DIRECTORY

import Gio from 'gi://Gio';
import System from 'system';
import Usock from 'gi://Usock?version=1';

const [path, directory] = System.programArgs;

function openFile({name}) {
    if (name.includes('/')) {
        throw new Gio.IOErrorEnum({code: Gio.IOErrorEnum.PERMISSION_DENIED,
            message: 'only files of the directory are opened'});
    }
    // A Gio.FileInputStream is a Gio.FileDescriptorBased: it goes along as its descriptor.
    return Gio.File.new_for_path(directory).get_child(name).read(null);
}

const server = new Usock.Server();
server.connect('connection', (_server, channel) => new Usock.Peer(channel).handle('Open', openFile));
server.listen(path);
Usock.run_until_closed();
