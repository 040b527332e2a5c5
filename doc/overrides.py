# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the overrides add, read from their sources: names, signatures and a line of each."""

import ast
import collections
import copy
import re

Entry = collections.namedtuple('Entry', 'owner name signature awaited static doc')

PYTHON_PROTOCOLS = {
    '__len__': 'len(it)', '__iter__': 'for … in it', '__aiter__': 'async for … in it',
    '__enter__': 'with it', '__aenter__': 'async with it', '__bytes__': 'bytes(it)',
}
SKIPPED = {'__new__', '__repr__', '__bool__', '__getattr__', '__setattr__', '__dir__', '__del__',
           '__anext__', '__exit__', '__aexit__', '__await__', '__init__'}


def _sentence(doc):
    """The first paragraph, in one line."""
    return ' '.join((doc or '').split('\n\n')[0].split())


def _is_static(node):
    return any(isinstance(each, ast.Name) and each.id == 'staticmethod'
               for each in node.decorator_list)


def _is_property(node):
    return any(isinstance(each, ast.Name) and each.id == 'property'
               for each in node.decorator_list)


def _arguments(node):
    """Without their types, which are long."""
    node = copy.deepcopy(node.args)
    for each in ast.walk(node):
        if isinstance(each, ast.arg):
            each.annotation = None
    return ast.unparse(node)


def _python_entry(owner, node):
    doc = ast.get_docstring(node)
    static = _is_static(node)
    arguments = _arguments(node)
    if owner and not static:
        arguments = re.sub(r'^self(, )?', '', arguments)
    awaited = isinstance(node, ast.AsyncFunctionDef) or 'wait it' in (doc or '')
    name = node.name
    if name in PYTHON_PROTOCOLS:
        return Entry(owner, name, PYTHON_PROTOCOLS[name], False, False, _sentence(doc))
    signature = name if _is_property(node) else f'{name}({arguments})'
    return Entry(owner, name, signature, awaited, static, _sentence(doc))


def _is_exported(node):
    return any(isinstance(each, ast.Name) and each.id == 'export' for each in node.decorator_list)


def python(source):
    """Entries, of which those of no class come first, and the line of each class."""
    entries, classes = [], {}
    for node in ast.parse(source).body:
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if not _is_exported(node):
            continue
        if not isinstance(node, ast.ClassDef):
            entries.append(_python_entry(None, node))
            continue
        classes[node.name] = _sentence(ast.get_docstring(node))
        for member in node.body:
            if not isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            hidden = member.name.startswith('_') and member.name not in PYTHON_PROTOCOLS
            if not hidden and member.name not in SKIPPED:
                entries.append(_python_entry(node.name, member))
    return entries, classes


# JavaScript is not parsed: it is what a line of the overrides assigns to a prototype or to a class,
# the comment above that line, and the lines up to the end of it.
JS_ASSIGNED = re.compile(
    r'( +)(prototype|Usock\.\w+\.prototype|type|Usock|Usock\.\w+)'
    r'(?:\.(\w+)|\[Symbol\.(\w+)\]|\[name\]) = '
    r'(async )?(?:function )?(?:\((.*)\)|(\w+)) (?:=> )?(?:=>)?.*')
JS_GETTER = re.compile(r' {8}(\w+): \{')
JS_PROTOCOLS = {'iterator': '[...it]', 'asyncIterator': 'for await (… of it)',
                'dispose': 'using', 'asyncDispose': 'await using'}
JS_WAIT = '{timeout, cancellable}'


class _Scanner:
    """Goes through the functions that patch the classes."""

    def __init__(self, lines):
        self.lines = lines
        self.found = {}

    def scan(self):
        inside, owners, several, comment = False, [], [], []
        self.names, self.patched = [], []
        for at, line in enumerate(self.lines):
            if line.startswith('function '):
                inside = re.match(r'function (patch\w+|_init)\(', line) is not None
                # What is done to any prototype that it is given is looked at where it is called.
                shared = re.match(r'function (patch\w+)\(prototype\)', line)
                owners, several = ([shared[1]] if shared else []), []
            elif line.startswith('}'):
                inside = False
            if not inside:
                continue
            owner = re.search(r'const \{.*\bprototype\b.*\} = Usock\.(\w+)'
                              r'|Object\.defineProperties\(Usock\.(\w+)\.prototype', line)
            owners = [owner[1] or owner[2]] if owner else owners
            loop = re.match(r'    for \(const (?:type|\{prototype\}) of \[([^]]*)\]', line)
            if loop:
                several = re.findall(r'Usock\.(\w+)', loop[1])
            elif line == '    }':
                several = []
            patch = re.match(r'    (patch\w+)\(prototype\);', line)
            if patch:
                self.patched += [(patch[1], owner) for owner in owners]
            names = re.match(r'    for \(const name of \[([^]]*)\]', line)
            if names:
                self.names = re.findall(r"'(\w+)'", names[1])
            if line.lstrip().startswith('// '):
                comment.append(line.strip()[3:])
                continue
            self._look(at, line, several or owners, ' '.join(comment))
            if not line.lstrip().startswith(('for (', 'if (', 'const {')):
                comment = []

        for patch, owner in self.patched:
            for entry in [each for each in self.found.values() if each.owner == patch]:
                self.found[owner, entry.name] = entry._replace(owner=owner)
        self.found = {key: entry for key, entry in self.found.items()
                      if not (entry.owner or '').startswith('patch')}

    def _look(self, at, line, owners, doc):
        match = JS_ASSIGNED.match(line)
        if match:
            _, target, name, symbol, is_async, arguments, argument = match.groups()
            if target.startswith('Usock'):
                owners = [target.split('.')[1] if '.' in target else None]
            content = self._content(at, match[1])
            for owner in owners:
                for each in [name] if name or symbol else self.names:
                    self._add(owner, each, symbol, arguments or argument or '', content, doc,
                              bool(is_async), not target.endswith('prototype'))
        single = re.match(r" +Object\.defineProperty\(Usock\.(\w+)\.prototype, '(\w+)'", line)
        if single:
            self.found[single[1], single[2]] = Entry(single[1], single[2], single[2], False, False,
                                                     doc)
        getter = JS_GETTER.match(line)
        if getter and 'get() {' in self.lines[at + 1]:
            for owner in owners:
                self.found[owner, getter[1]] = Entry(owner, getter[1], getter[1], False, False, doc)

    def _content(self, at, indent):
        lines = [self.lines[at]]
        for line in self.lines[at + 1:]:
            if not line.startswith(indent + ' '):
                break
            lines.append(line)
        return '\n'.join(lines)

    def _add(self, owner, name, symbol, arguments, content, doc, is_async, static):
        if symbol:
            entry = Entry(owner, symbol, JS_PROTOCOLS[symbol], False, False, doc)
        else:
            awaited = (is_async or doc.startswith('Resolve') or 'return take(' in content
                       or re.search(r'return this\.\w+_async\(', content) is not None)
            entry = Entry(owner, name, f'{name}({self._options(arguments, content)})', awaited,
                          static, doc)
        if name is None or not (name.startswith('_') or name[0].isupper()):
            self.found[owner, entry.name] = entry

    @staticmethod
    def _options(arguments, content):
        told = re.search(r'told\(options,([^)]*)\)', content)
        names = re.findall(r"'(\w+)'", told[1]) if told else []
        options = '{' + ', '.join(names) + '}' if names else JS_WAIT
        return re.sub(r'\boptions(?: = (?:undefined|-1|\{\}))?', options, arguments)


def javascript(source):
    scanner = _Scanner(source.split('\n'))
    scanner.scan()
    return [entry for entry in scanner.found.values() if '...' not in entry.signature], {}
