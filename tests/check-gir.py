#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Walks the GIR and proves the rules that keep the API whole in GJS, Python and Vala."""

import sys
import xml.etree.ElementTree as ElementTree

CORE = '{http://www.gtk.org/introspection/core/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'

# A method of this name hides GObject's in some language, or a signal of ours.
FORBIDDEN = {'connect', 'disconnect', 'emit', 'notify', 'props', 'ref', 'unref',
             'error', 'data', 'drain', 'listening', 'connection'}

# A closure that a script gives for good, and that knows its channel, would keep both for ever.
FOR_C = {'usock_channel_set_receive_func'}
BASES = {'Socket', 'Channel'}


def named(element, tag):
    return {child.get('name').replace('-', '_'): child for child in element.iter(tag)}


def returns_nothing(callable_):
    return callable_.find(f'{CORE}return-value/{CORE}type').get('name') == 'none'


def takes_nothing(callable_):
    return callable_.find(f'{CORE}parameters/{CORE}parameter') is None


def ancestry(classes, name):
    while name in classes:
        yield classes[name]
        name = classes[name].get('parent')


def check_class(classes, name):
    class_ = classes[name]
    line = list(ancestry(classes, name))
    methods = {k: v for c in line for k, v in named(c, f'{CORE}method').items()}
    functions = {k: v for c in line for tag in ('function', 'constructor')
                 for k, v in named(c, CORE + tag).items()}
    properties = [(k, p) for c in line for k, p in named(c, f'{CORE}property').items()]
    property_names = [k for k, _ in properties]
    # What can only be read may be declared again, to be chosen by whoever makes the object.
    own_names = [k for k, p in properties if p.get('construct-only') != '1']
    signals = [k for c in line for k in named(c, f'{GLIB}signal')]

    for word in FORBIDDEN & {*methods, *functions, *property_names}:
        yield f'{name}.{word} has a name that some language takes for another'
    for word in {word for word in signals if signals.count(word) > 1}:
        yield f'{name}::{word} is declared twice in its ancestry'
    for word in {word for word in own_names if own_names.count(word) > 1}:
        yield f'{name}:{word} is declared twice in its ancestry'
    for word in set(property_names) & {*signals, *methods}:
        yield f'{name}:{word} is a property and a signal or method'
    for signal in (s for c in line for s in c.iter(f'{GLIB}signal')):
        method = methods.get(signal.get('name').replace('-', '_'))
        if method is not None and (method.get('throws') or not all(
                f(x) for f in (takes_nothing, returns_nothing) for x in (method, signal))):
            yield f'{name}::{signal.get("name")} is no emitter: it or its method has arguments'

    if (class_.get('abstract') == '1') != (name in BASES):
        yield f'{name} is {"not " if name in BASES else ""}abstract'
    if class_.get(f'{GLIB}final') == '1':
        yield f'{name} is final, which aborts a GJS program that derives from it'
    if class_.find(f'{CORE}field') is not None:
        yield f'{name} shows its struct'
    for interface in class_.iter(f'{CORE}implements'):
        if interface.get('name') in ('Gio.Initable', 'Gio.AsyncInitable'):
            yield f'{name} is a {interface.get("name")}, which Python does not initialize'
    for constructor in class_.iter(f'{CORE}constructor'):
        if constructor.get('name') == 'new' and constructor.get('throws'):
            yield f'{name}.new() can fail, which `new {name}()` can not'


def arguments(callable_):
    found = [parameter for parameter in callable_.iter(f'{CORE}parameter')
             if parameter.get('direction') != 'out']
    return [(parameter.get('name'), [type_.get('name') for type_ in parameter.iter(f'{CORE}type')])
            for parameter in found]


def check_pairs(class_):
    """Scanners find out by themselves what belongs together, if the names say so."""
    methods = named(class_, f'{CORE}method')
    for name in [name for name in methods if name.endswith('_async')]:
        stem = name.removesuffix('_async')
        if f'{stem}_finish' not in methods:
            yield f'{name}() has no {stem}_finish()'
        # Behind those of the call come the cancellable, the callback, and its data.
        if stem in methods and arguments(methods[name])[:-3] != arguments(methods[stem]):
            yield f'{name}() takes other arguments than {stem}()'


def check_callable(callable_):
    name = callable_.get(f'{C}identifier') or callable_.get('name')
    if callable_.get('introspectable') == '0' and name not in FOR_C:
        yield f'{name} can not be called from a script'
    for parameter in callable_.iter(f'{CORE}parameter'):
        array = parameter.find(f'{CORE}array')
        if (array is not None and array.get('name') == 'GLib.PtrArray'
                and parameter.get('direction') != 'out' and callable_.tag != f'{GLIB}signal'):
            yield f'{name} takes a GPtrArray, on which GJS crashes'


def main():
    namespace = ElementTree.parse(sys.argv[1]).find(f'{CORE}namespace')
    classes = {c.get('name'): c for c in namespace.iter(f'{CORE}class')}
    problems = [p for name in classes for p in check_class(classes, name)]
    problems += [p for class_ in classes.values() for p in check_pairs(class_)]
    for tag in (f'{CORE}method', f'{CORE}function', f'{CORE}constructor', f'{GLIB}signal'):
        problems += [p for callable_ in namespace.iter(tag) for p in check_callable(callable_)]
    for tag in (f'{CORE}method', f'{CORE}constructor', f'{CORE}property', f'{GLIB}signal',
                f'{CORE}enumeration', f'{CORE}bitfield', f'{CORE}class'):
        problems += [f'{element.get("name")} does not say since when it is there'
                     for element in namespace.iter(tag) if element.get('version') is None]
    if not BASES < set(classes):
        problems.append(f'only the classes {sorted(classes)} found')
    print('\n'.join(problems) or f'{len(classes)} classes keep the rules')
    sys.exit(bool(problems))


main()
