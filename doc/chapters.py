# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the chapters are, and what stands in them.

They are plain Markdown, to be read on a forge as they are. README.md lists them in reading order. A
span of code that is the whole name of something of the API, `Usock.Server`, `Usock.Channel::data`,
`Usock.Channel:max-fds`, `Usock.Channel.send()`, becomes a link in the reference."""

import pathlib
import re
import xml.etree.ElementTree as ElementTree

CORE = '{http://www.gtk.org/introspection/core/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'

FENCE = re.compile(r'^(```\w*\n.*?^```)$', re.MULTILINE | re.DOTALL)
SPAN = re.compile(r'(?<!`)`([^`\n]+)`(?!`)')
LINK = re.compile(r'(!?)\[([^]]*)\]\(([^)\s]+)\)')
HEADING = re.compile(r'^(#+) (.*)$', re.MULTILINE)
LISTED = re.compile(r'^- \[([^]]+)\]\(([\w-]+\.md)\)(?:: (.*))?$|^## (.*)$', re.MULTILINE)
SYMBOL = re.compile(r'(?:Usock|Gio|GLib|GObject)\.'
                    r'(?:[A-Z]\w*(?:::?[a-z][\w-]*|\.[a-z]\w*\(\)|\.[A-Z][A-Z0-9_]*)?|[a-z]\w*\(\))')

EXTERNAL = {'Gio': 'https://docs.gtk.org/gio/', 'GLib': 'https://docs.gtk.org/glib/',
            'GObject': 'https://docs.gtk.org/gobject/'}
TYPES = {'class': 'class', 'interface': 'iface', 'record': 'struct', 'union': 'struct',
         'enumeration': 'enum', 'bitfield': 'flags', 'callback': 'callback', 'alias': 'alias'}
CALLS = {'method': 'method', 'constructor': 'ctor', 'function': 'type_func'}


class Symbols:
    """The pages of the reference, by the names that they have in every language."""

    def __init__(self, gir, directories=()):
        self._pages, self._parents, self.docs = {}, {}, {}
        self._read(gir, '')
        self._known = {'Usock'}
        for namespace, url in EXTERNAL.items():
            found = [file for directory in directories
                     for file in pathlib.Path(directory).glob(f'{namespace}-2.0.gir')]
            if found:
                self._read(found[0], url)
                self._known.add(namespace)

    def _read(self, gir, url):
        namespace = ElementTree.parse(gir).getroot().find(CORE + 'namespace')
        for element in namespace:
            kind = element.tag.removeprefix(CORE)
            name = f"{namespace.get('name')}.{element.get('name')}"
            if kind == 'function':
                self._add(f'{name}()', f"{url}func.{element.get('name')}.html", element)
            elif kind in TYPES:
                page = 'error' if element.get(GLIB + 'error-domain') else TYPES[kind]
                self._add(name, f"{url}{page}.{element.get('name')}.html", element)
                self._read_members(element, name, url)

    def _read_members(self, element, name, url):
        owner = element.get('name')
        for member in element:
            kind, its = member.tag.removeprefix(CORE), member.get('name')
            if kind in CALLS:
                self._add(f'{name}.{its}()', f'{url}{CALLS[kind]}.{owner}.{its}.html', member)
            elif kind == 'property':
                self._add(f'{name}:{its}', f'{url}property.{owner}.{its}.html', member)
            elif member.tag == GLIB + 'signal':
                self._add(f'{name}::{its}', f'{url}signal.{owner}.{its}.html', member)
            elif kind == 'member':
                self._add(f'{name}.{its.upper()}', self._pages[name], member)
        parent = element.get('parent')
        if parent:
            self._parents[name] = parent if '.' in parent else f"{name.split('.')[0]}.{parent}"

    def _add(self, name, page, element):
        self._pages[name] = page
        doc = element.find(CORE + 'doc')
        if doc is not None:
            self.docs[name] = doc.text

    def add(self, name, page):
        """Adds what is in no GIR."""
        self._pages.setdefault(name, page)

    def page(self, name):
        """The page of what a class may have from its ancestors, or None."""
        match = re.fullmatch(r'(\w+\.\w+)((?:::?|\.).*)', name)
        while name not in self._pages and match and match[1] in self._parents:
            name = self._parents[match[1]] + match[2]
            match = re.fullmatch(r'(\w+\.\w+)((?:::?|\.).*)', name)
        return self._pages.get(name)

    def parents(self):
        """Of each class of ours, the one that it is made of."""
        return {name.split('.')[1]: parent.split('.')[1] for name, parent in self._parents.items()
                if name.startswith('Usock.') and parent.startswith('Usock.')}

    def is_missing(self, name):
        """Whether it looks like a name of the API that there is not."""
        return (SYMBOL.fullmatch(name) is not None and name.split('.')[0] in self._known
                and self.page(name) is None)


def slug(heading):
    """What forges and the reference call the place of a heading."""
    text = re.sub(r'[`*]', '', heading).strip().lower()
    return re.sub(r'[^\w\- ]', '', text).replace(' ', '-')


def outside_of_code(text, change):
    """Changes what is no block of code."""
    return ''.join(part if part.startswith('```') else change(part) for part in FENCE.split(text))


class Chapter:
    """One file, and what is in it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.text = self.path.read_text(encoding='utf-8')
        parts = FENCE.split(self.text)
        self.prose = '\n'.join(part for part in parts if not part.startswith('```'))
        headings = HEADING.findall(self.prose)
        self.title = headings[0][1] if headings and headings[0][0] == '#' else None
        self.headings = [heading for level, heading in headings]

    @property
    def page(self):
        return self.path.stem + '.html'

    @property
    def keywords(self):
        """Words that somebody may look for who does not know what things are called here."""
        match = re.search(r'<!-- keywords: (.*?) -->', self.text, re.DOTALL)
        return [word.strip() for word in match[1].split(',')] if match else []

    def sections(self):
        """Pairs of a heading and the paragraph that follows it."""
        for match in re.finditer(r'^##+ ([^\n]*)\n\n(.*?)(?=\n\n|\Z)', self.prose,
                                 re.MULTILINE | re.DOTALL):
            yield match[1], match[2]


def listed(directory):
    """The chapters in reading order: pairs of a part's name and its files, of which each has a line
    that tells what it is about."""
    parts = []
    text = (pathlib.Path(directory) / 'README.md').read_text(encoding='utf-8')
    for match in LISTED.finditer(text):
        if match[4]:
            parts.append((match[4], {}))
        elif match[2]:
            parts[-1][1][match[2]] = match[3] or ''
    return parts
