# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""The npm module unix-dgram is the other side of datagrams.

The only abstract name that it can use is the one of 107 zero bytes."""

import os
import subprocess

from interop import expect_success, need, peer, run, skip, start, wait_for_receiver

NODE = need('node')
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'node-dgram-peer.js')
N_MESSAGES = 300
LONGEST = 60000
IN_FLIGHT = 32
ZEROS = '@' + '\\x00' * 107

if subprocess.run([NODE, '-e', 'require("unix-dgram")'], stderr=subprocess.DEVNULL,
                  check=False).returncode != 0:
    skip('unix-dgram is not installed: run tests/interop/install BUILD_DIR')

OURS = [peer]
THEIRS = [NODE, SCRIPT]


def converse(path, receiver, receiver_job, sender, *sender_job):
    with start(*receiver, path, receiver_job, N_MESSAGES, LONGEST) as receiving:
        wait_for_receiver(path if path != 'zeros' else ZEROS)
        with start(*sender, *sender_job) as sending:
            expect_success(sending)
            expect_success(receiving)


def stream(job, to):
    return ['-', job, N_MESSAGES, LONGEST, to]


def node_sends(path):
    converse(path, OURS, 'check', THEIRS, *stream('send', path))


def node_sends_connected(path):
    converse(path, OURS, 'check', THEIRS, *stream('post', path))


def node_receives(path):
    converse(path, THEIRS, 'check', OURS, *stream('send', path))


def node_receives_from_a_connected_socket(path):
    converse(path, THEIRS, 'check', OURS, *stream('post', path))


def node_answers(path):
    converse(path, THEIRS, 'echo', OURS, path + '.ours', 'exchange', N_MESSAGES, LONGEST, path,
             IN_FLIGHT)


def node_is_answered(path):
    converse(path, OURS, 'echo', THEIRS, path + '.theirs', 'exchange', N_MESSAGES, LONGEST, path,
             IN_FLIGHT)


def node_sends_to_its_abstract_name(_path):
    converse(ZEROS, OURS, 'check', THEIRS, *stream('post', 'zeros'))


def node_receives_by_its_abstract_name(_path):
    converse('zeros', THEIRS, 'check', OURS, *stream('send', ZEROS))


run(node_sends, node_sends_connected, node_receives, node_receives_from_a_connected_socket,
    node_answers, node_is_answered, node_sends_to_its_abstract_name,
    node_receives_by_its_abstract_name)
