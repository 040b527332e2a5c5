# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Lists what a script can call, as JSON, from the GIR: for the tests that call all of it.

A class has its ancestors' names, its properties, signals and callables. A callable has its kind,
"new", "static" or "method", and the parameters that a script gives, each with a type. The type of
an array is in brackets.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree

CORE = '{http://www.gtk.org/introspection/core/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'
KINDS = {'constructor': 'new', 'function': 'static', 'method': 'method'}


def type_of(element):
    array = element.find(CORE + 'array')
    if array is not None:
        return f'[{type_of(array)}]'
    return element.find(CORE + 'type').get('name')


def unseen(callable_):
    """The parameters that the bindings fill in: lengths, and the data of callbacks."""
    indices = set()
    for parameter in [*callable_.iter(CORE + 'parameter'), callable_.find(CORE + 'return-value')]:
        array = parameter.find(CORE + 'array')
        if parameter.get('scope'):
            indices.add(parameter.get('closure'))
        if array is not None:
            indices.add(array.get('length'))
    return indices


def callable_of(element):
    hidden = unseen(element)
    parameters = element.findall(f'{CORE}parameters/{CORE}parameter')
    return {
        'name': element.get('name'),
        'kind': KINDS[element.tag.removeprefix(CORE)],
        'parameters': [
            {'name': parameter.get('name'), 'type': type_of(parameter),
             'nullable': parameter.get('nullable') == '1'}
            for index, parameter in enumerate(parameters)
            if str(index) not in hidden and parameter.get('direction') != 'out'
        ],
    }


def callables_of(element):
    found = [child for kind in KINDS for child in element.findall(CORE + kind)]
    return [callable_of(child) for child in found if child.get('introspectable') != '0']


def class_of(element):
    return {
        'name': element.get('name'),
        'parent': element.get('parent'),
        'callables': callables_of(element),
        'properties': [{'name': child.get('name'), 'type': type_of(child),
                        'writable': child.get('writable') == '1'}
                       for child in element.findall(CORE + 'property')],
        'signals': [child.get('name') for child in element.findall(GLIB + 'signal')],
    }


def main():
    namespace = ElementTree.parse(sys.argv[1]).getroot().find(CORE + 'namespace')
    classes = [class_of(child) for kind in ('class', 'record')
               for child in namespace.findall(CORE + kind)
               if child.get(GLIB + 'is-gtype-struct-for') is None]
    json.dump({'classes': classes, 'functions': callables_of(namespace)}, sys.stdout, indent=1)


if __name__ == '__main__':
    main()
