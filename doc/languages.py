# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""How what the GIR lists is written in Python and in GJS: a small table for each page."""

from chapters import CORE, GLIB

INSTANCES = {'Channel': 'channel', 'Seqpacket': 'channel', 'Stream': 'stream', 'Dgram': 'socket',
             'PacketAddress': 'address'}
CALLS = ('constructor', 'function', 'method')

# What a script has no use for.
SILENT = ('ref', 'unref', 'handle_with_closure')


def _hidden(element):
    """Indices of parameters that the bindings fill in: lengths, and what belongs to callbacks."""
    indices = set()
    for each in [*element.iter(CORE + 'parameter'), element.find(CORE + 'return-value')]:
        if each is None:
            continue
        array = each.find(CORE + 'array')
        if each.get('scope'):
            indices |= {each.get('closure'), each.get('destroy')}
        if array is not None:
            indices.add(array.get('length'))
    return indices


def _parameters(element):
    hidden = _hidden(element)
    parameters = element.findall(f'{CORE}parameters/{CORE}parameter')
    return [each.get('name') for index, each in enumerate(parameters)
            if str(index) not in hidden and each.get('direction', 'in') != 'out'
            and not each.get('scope')]


class Languages:
    """Knows what the overrides add, and what the introspection gives of itself."""

    def __init__(self, python, javascript, parents):
        self._python = {(entry.owner, entry.name): entry for entry in python}
        self._javascript = {(entry.owner, entry.name): entry for entry in javascript}
        self._parents = parents

    def _entry(self, entries, owner, name):
        while owner is not None:
            if (owner, name) in entries:
                return entries[owner, name]
            owner = self._parents.get(owner)
        return entries.get((None, name))

    def _find(self, entries, owner, name):
        """What the override has for it, which may have another name there."""
        if name == 'new_pair':
            return self._entry(entries, owner, 'pair')
        entry = self._entry(entries, owner, name.removesuffix('_async'))
        if name.endswith('_async') and (entry is None or not entry.awaited):
            entry = self._entry(entries, owner, name)
        return None if entry is not None and '*args' in entry.signature else entry

    @staticmethod
    def _instance(owner):
        return INSTANCES.get(owner, owner.lower())

    def _written(self, owner, entry, plain, static):
        if entry is None:
            return None if plain is None else f'{self._base(owner, static)}.{plain}'
        base = self._base(owner, entry.static)
        return ('await ' if entry.awaited else '') + f'{base}.{entry.signature}'

    def _base(self, owner, static):
        if owner is None:
            return 'Usock'
        return f'Usock.{owner}' if static else self._instance(owner)

    def call(self, owner, element):
        """The rows of a call, of which there may be none."""
        kind, name = element.tag.removeprefix(CORE), element.get('name')
        if element.get('introspectable') == '0' or name.endswith('_finish') or name in SILENT:
            return []
        static = kind != 'method'
        awaited = name.endswith('_async')
        plain = f'{name}({", ".join(each for each in _parameters(element) if each != "cancellable")})'
        rows = []
        for language, entries, wait in (('Python', self._python, 'timeout=None'),
                                        ('GJS', self._javascript, '{timeout, cancellable}')):
            entry = self._find(entries, owner, name)
            text = self._written(owner, entry, plain, static)
            if entry is None and awaited and 'timeout' in plain:
                text = 'await ' + text
            elif entry is None and awaited:
                text = 'await ' + text[:-1] + (', ' if not text.endswith('()') else '') + wait + ')'
            rows.append((language, text))
        if kind == 'constructor' and name == 'new' and owner:
            arguments = plain.removeprefix('new')
            rows = [('Python', f'Usock.{owner}{self._made(owner, arguments)}'),
                    ('GJS', f'Usock.{owner}.new{arguments}')]
        return rows

    def _made(self, owner, arguments):
        return '(data=b\'\', fds=())' if owner == 'Message' else arguments

    def property(self, owner, element):
        name = element.get('name').replace('-', '_')
        instance = self._instance(owner)
        return [('Python', f'{instance}.props.{name}'), ('GJS', f'{instance}.{name}')]

    def signal(self, owner, element):
        name, instance = element.get('name'), self._instance(owner)
        arguments = ', '.join([instance, *_parameters(element)])
        return [('Python', f"{instance}.connect('{name}', lambda {arguments}: …)"),
                ('GJS', f"{instance}.connect('{name}', ({arguments}) => …)")]

    def rows(self, owner, element):
        kind = element.tag.removeprefix(CORE)
        if kind in CALLS:
            return self.call(owner, element)
        if kind == 'property':
            return self.property(owner, element)
        if element.tag == GLIB + 'signal':
            return self.signal(owner, element)
        return []


def as_table(rows):
    texts = {text for _, text in rows}
    if len(texts) == 1:
        rows = [('Python, GJS', texts.pop())]
    lines = ['| language | written as |', '| --- | --- |']
    return '\n'.join(lines + [f'| {language} | `{text}` |' for language, text in rows])
