#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Plants changes in a small API, and expects check-frozen.py to find those that break a program.

check-planted-api.py CC
"""

import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name('check-frozen.py')

GIR = '''<?xml version="1.0"?>
<repository xmlns="http://www.gtk.org/introspection/core/1.0"
            xmlns:c="http://www.gtk.org/introspection/c/1.0"
            xmlns:glib="http://www.gtk.org/introspection/glib/1.0">
<namespace name="House" version="1">
<class name="Door" parent="GObject.Object" glib:get-type="house_door_get_type">
<method name="open" c:identifier="house_door_open" throws="1">
<return-value transfer-ownership="none"><type name="gboolean"/></return-value>
<parameters>
<instance-parameter name="self"><type name="Door"/></instance-parameter>
<parameter name="key" transfer-ownership="none" nullable="1"><type name="utf8"/></parameter>
</parameters>
</method>
<property name="width" writable="1" transfer-ownership="none"><type name="guint"/></property>
<glib:signal name="knock" when="last">
<return-value transfer-ownership="none"><type name="none"/></return-value>
<parameters>
<parameter name="who" transfer-ownership="none"><type name="utf8"/></parameter>
</parameters>
</glib:signal>
</class>
<enumeration name="Side" glib:get-type="house_side_get_type">
<member name="in" value="0" c:identifier="HOUSE_SIDE_IN" glib:nick="in"/>
<member name="out" value="1" c:identifier="HOUSE_SIDE_OUT" glib:nick="out"/>
</enumeration>
<constant name="VERSION_S" value="1.2" c:type="HOUSE_VERSION_S"><type name="utf8"/></constant>
</namespace>
</repository>
'''
NEW_METHOD = '''<method name="shut" c:identifier="house_door_shut">
<return-value transfer-ownership="none"><type name="none"/></return-value>
</method>
<property name="width"'''
HEADER = '''typedef struct { int width; int height; } HouseSize;
typedef struct HouseDoor HouseDoor;
int house_open (HouseDoor *door, const char *key);
int house_measure (const HouseSize *size);
'''
SOURCE = '''#include "house.h"
struct HouseDoor { int locked; };
int house_open (HouseDoor *door, const char *key) { return key && door->locked; }
int house_measure (const HouseSize *size) { return size->width; }
'''

REMOVED, NEW = 'removed or changed', 'new, and not frozen yet'
# What is replaced by what in the GIR, and what is said of it; nothing where a program would not mind.
PLANTED_API = {
    'a method': ('name="open" c:identifier="house_door_open"',
                 'name="unlock" c:identifier="house_door_unlock"', REMOVED),
    'an argument that may not be missing': (' nullable="1"', '', REMOVED),
    'an argument of another name': ('name="key"', 'name="pin"', REMOVED),
    'a method that cannot fail': (' throws="1"', '', REMOVED),
    'who owns an argument': ('name="key" transfer-ownership="none"',
                             'name="key" transfer-ownership="full"', REMOVED),
    'a property that cannot be set': (' writable="1"', '', REMOVED),
    'a signal': ('name="knock"', 'name="ring"', REMOVED),
    'another parent': ('parent="GObject.Object"', 'parent="GObject.InitiallyUnowned"', REMOVED),
    'a member with another value': ('value="1"', 'value="2"', REMOVED),
    'another method': ('<property name="width"', NEW_METHOD, NEW),
    'what only a newer scanner says': (' when="last"', ' when="last" glib:finish-func="x"', ''),
}
# The same in the header and the source of the library.
PLANTED_ABI = {
    'a function': (('house_measure', 'house_weigh'),),
    'the struct of a caller': (('{ int width; int height; }', '{ long width; int height; }'),),
    'an argument': (('const char *key)', 'long long key)'),),
}
HARMLESS_ABI = {
    'a private struct': (('{ int locked; }', '{ long locked; int open; }'),),
}


class House:
    def __init__(self, directory, compiler):
        self.root = pathlib.Path(directory)
        self.compiler = compiler
        self.built = None
        (self.root / 'tests/frozen').mkdir(parents=True)
        self.symbols = self.root / 'doc/packages/debian/libusock-1-1.symbols'
        self.symbols.parent.mkdir(parents=True)
        self.build()

    def build(self, gir=GIR, changes=()):
        header, source = HEADER, SOURCE
        for old, new in changes:
            header, source = header.replace(old, new), source.replace(old, new)
        (self.root / 'House-1.gir').write_text(gir, encoding='utf-8')
        if self.built == (header, source):
            return
        (self.root / 'house.h').write_text(header, encoding='utf-8')
        (self.root / 'house.c').write_text(source, encoding='utf-8')
        subprocess.run([*self.compiler, '-w', '-g', '-O0', '-shared', '-fPIC', 'house.c', '-o',
                        'libhouse.so'], cwd=self.root, check=True)
        self.built = header, source

    def check(self, *switches):
        done = subprocess.run(
            [sys.executable, CHECK, *switches, self.root / 'House-1.gir', self.root / 'libhouse.so',
             shlex.join(self.compiler), self.root, self.root / 'house.h'],
            capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def report(what, as_expected, said):
    print(f'{"as expected" if as_expected else "NOT AS EXPECTED"}: {what}')
    if not as_expected:
        print(said)
    return as_expected


def check_api(house):
    for what, (old, new, expected) in PLANTED_API.items():
        house.build(GIR.replace(old, new))
        status, said = house.check()
        yield report(what, status == bool(expected) and expected in said, said)
        status, said = house.check('--update')
        yield report(f'{what}, updated', status == (expected == REMOVED), said)
        house.build()
        house.check('--thaw')
    house.build(GIR.replace('<property name="width"', NEW_METHOD))
    house.check('--update')
    house.build()
    status, said = house.check()
    yield report('what was new is frozen', status == 1 and REMOVED in said, said)
    house.check('--thaw')


def check_abi(house):
    for what, changes in PLANTED_ABI.items():
        house.build(changes=changes)
        for switches in ([], ['--update']):
            status, said = house.check(*switches)
            yield report(f'{what} of the library {switches}', status == 1, said)
    for what, changes in HARMLESS_ABI.items():
        house.build(changes=changes)
        status, said = house.check()
        yield report(f'{what} of the library', status == 0, said)


def check_symbols(house):
    house.build()
    house.check('--thaw')
    frozen = house.symbols.read_text(encoding='utf-8')
    for what, old, new in (('a symbol that is gone', ' house_open@', ' house_close@Base 1.2\n house_open@'),
                           ('a new symbol', ' house_open@Base 1.2\n', '')):
        house.symbols.write_text(frozen.replace(old, new), encoding='utf-8')
        status, said = house.check()
        yield report(what, status == 1 and 'libusock-1-1.symbols' in said, said)
    status, said = house.check('--update')
    updated = house.symbols.read_text(encoding='utf-8')
    yield report('a new symbol, updated', status == 0 and updated == frozen, said)


def main():
    with tempfile.TemporaryDirectory() as directory:
        house = House(directory, shlex.split(sys.argv[1]))
        fine = [report('nothing frozen', house.check()[0] == 1, ''),
                report('frozen', house.check('--thaw')[0] == 0 and house.check()[0] == 0, ''),
                *check_api(house), *check_symbols(house)]
        if shutil.which('abidw'):
            fine += check_abi(house)
    sys.exit(not all(fine))


main()
