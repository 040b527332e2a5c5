#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Runs a script with a window of GTK, and presses its first button for each SIGUSR1:
press-button.py SCRIPT ARGUMENT..."""

import runpy
import signal
import sys

import gi

gi.require_version('Gtk', '4.0')
from gi.repository import GLib, Gtk  # noqa: E402


def widgets(widget):
    yield widget
    child = widget.get_first_child()
    while child is not None:
        yield from widgets(child)
        child = child.get_next_sibling()


def press():
    window, *_ = Gtk.Window.list_toplevels()
    next(each for each in widgets(window)
         if isinstance(each, Gtk.Button) and each.get_label()).emit('clicked')
    return GLib.SOURCE_CONTINUE


GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, press)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name='__main__')
