#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Every link of the chapters and the pages leads somewhere: check-links.py ROOT [--gir GIR]
[--gir-directory DIRECTORY] [--pages DIRECTORY]

Without --pages, what a forge shows is looked at: files, places in them, and names of the API that
there are. With it, the HTML that was made of that. Nothing is looked up in the network."""

import argparse
import html.parser
import json
import pathlib
import re
import sys
import urllib.parse

ROOT = pathlib.Path(sys.argv[1]).resolve()
sys.path.insert(0, str(ROOT / 'doc'))
sys.dont_write_bytecode = True

import chapters as doc  # noqa: E402
import reference  # noqa: E402

MARK = re.compile(r'\[\w+@[\w.:-]+\]')
ATTRIBUTE = re.compile(r'\b(?:src|srcset|href)="([^"]*)"')


# On a forge

def places_of(path):
    """What can follow the #, as forges count headings that are the same."""
    places = set()
    for heading in doc.Chapter(path).headings:
        place, n = doc.slug(heading), 1
        while place in places:
            place, n = f'{doc.slug(heading)}-{n}', n + 1
        places.add(place)
    return places


def link_problem(path, target):
    parts = urllib.parse.urlsplit(target)
    if parts.scheme in ('http', 'https'):
        return None if parts.netloc else 'has no host'
    if parts.scheme:
        return 'is of an odd kind'
    file = (path.parent / parts.path).resolve() if parts.path else path
    if ROOT not in file.parents and file != ROOT:
        return 'leads out of the project'
    if not file.exists():
        return 'leads to nothing'
    if parts.fragment and file.suffix == '.md' and parts.fragment not in places_of(file):
        return 'leads to a heading that there is not'
    return None


def markdown_problems(path, symbols):
    chapter = doc.Chapter(path)
    prose = chapter.prose
    if chapter.title is None:
        yield 'does not begin with a title'
    for mark in MARK.findall(prose):
        yield f'{mark}: a forge shows it raw'
    for name in doc.SPAN.findall(prose):
        if symbols is not None and symbols.is_missing(name):
            yield f'`{name}` is nothing of the API'
    plain = doc.SPAN.sub('', prose)
    for target in [link[2] for link in doc.LINK.findall(plain)] + ATTRIBUTE.findall(plain):
        problem = link_problem(path, target)
        if problem:
            yield f'({target}) {problem}'
    # Whoever writes no language gets no colours, and no test.
    for language in re.findall(r'^```(\w*)\n.*?^```$', chapter.text, re.MULTILINE | re.DOTALL):
        if not language:
            yield 'has a block of code without a language'


def list_problems():
    files = [name for _, names in doc.listed(ROOT / 'doc') for name in names]
    there = {path.name for path in (ROOT / 'doc').glob('*.md')} - {'README.md'}
    for name in sorted(there.symmetric_difference(files)):
        yield f'doc/README.md: {name} is in one only, the list or the folder'
    for name in {name for name in files if files.count(name) > 1}:
        yield f'doc/README.md: {name} is listed twice'
    for part in doc.LISTED.finditer((ROOT / 'doc/README.md').read_text(encoding='utf-8')):
        title, name = part[1], part[2]
        if name in there and doc.Chapter(ROOT / 'doc' / name).title != title:
            yield f'doc/README.md: {name} has another title than “{title}”'


def comment_problems():
    build = (ROOT / 'doc/meson.build').read_text(encoding='utf-8')
    for path in sorted((ROOT / 'usock').rglob('*.[ch]')):
        if ' * ```c\n' in path.read_text(encoding='utf-8') and f'/{path.name}' not in build:
            yield f'{path.relative_to(ROOT)}: its programs are not compiled, see doc/meson.build'


def example_problems():
    text = (ROOT / 'examples/README.md').read_text(encoding='utf-8')
    for path in sorted((ROOT / 'examples').glob('*.*')):
        if path.suffix in ('.c', '.js', '.py') and path.stem != 'demo' and f']({path.name})' not in text:
            yield f'examples/README.md: {path.name} is not listed'


def check_forge(arguments):
    symbols = None
    if arguments.gir:
        symbols = doc.Symbols(arguments.gir, arguments.gir_directory)
        reference.read_overrides(ROOT, symbols)
    problems = [*list_problems(), *comment_problems(), *example_problems()]
    files = sorted([*ROOT.glob('*.md'), *(ROOT / 'doc').glob('*.md'), ROOT / 'examples/README.md'])
    for path in files:
        problems += [f'{path.relative_to(ROOT)}: {problem}'
                     for problem in markdown_problems(path, symbols)]
    return problems, len(files)


# Pages

class Page(html.parser.HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places, self.text = [], set(), []
        self._code = 0
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attrs):
        self._code += tag in ('code', 'pre', 'script', 'style')
        for name, value in attrs:
            if name == 'id':
                self.places.add(value)
            elif name in ('href', 'src', 'srcset') and value is not None:
                self.links.append(value)

    def handle_endtag(self, tag):
        self._code -= tag in ('code', 'pre', 'script', 'style')

    def handle_data(self, data):
        if not self._code:
            self.text.append(data)


def page_problems(name, pages, directory):
    for target in pages[name].links:
        parts = urllib.parse.urlsplit(target)
        if parts.scheme in ('http', 'https', 'javascript', 'data'):
            continue
        file = parts.path or name
        if not target or not (directory / file).exists():
            yield f'({target}) leads to nothing'
        elif parts.fragment and file in pages and parts.fragment not in pages[file].places:
            yield f'({target}) leads to a place that there is not'
    for mark in MARK.findall(''.join(pages[name].text)):
        yield f'{mark} is shown raw'


def search_problems(directory, pages):
    symbols = json.loads((directory / 'index.json').read_text(encoding='utf-8'))['symbols']
    contents = [item for item in symbols if item['type'] == 'content']
    for word in ('asyncio', 'reconnect', 'spawn', 'sandbox', 'systemd', 'backpressure'):
        if not any(word == item['name'].lower() for item in contents):
            yield f'the search does not find “{word}”'
    for item in contents:
        file, _, place = item['href'].partition('#')
        if file not in pages or place and place not in pages[file].places:
            yield f'the search leads to {item["href"]}, which there is not'


def check_pages(arguments):
    directory = pathlib.Path(arguments.pages)
    pages = {path.name: Page(path) for path in directory.glob('*.html')}
    problems = [f'{name}: {problem}' for name in sorted(pages)
                for problem in page_problems(name, pages, directory)]
    return problems + list(search_problems(directory, pages)), len(pages)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('root')
    parser.add_argument('--gir')
    parser.add_argument('--gir-directory', action='append', default=[])
    parser.add_argument('--pages')
    arguments = parser.parse_args()
    problems, n = check_pages(arguments) if arguments.pages else check_forge(arguments)
    assert n > 10, f'only {n} files were found'
    print('\n'.join(problems) or f'{n} files link to nothing that there is not')
    sys.exit(bool(problems))


main()
