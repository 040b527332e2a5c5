#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""Makes the reference: reference.py --gidocgen PROGRAM --gir GIR --output DIRECTORY ...

gi-docgen is given the chapters with their links made its own, pages of what the overrides add, and a
GIR whose classes open with the examples of classes.md. What it has made is then given a list of the
chapters, and a search that finds what they are about."""

import argparse
import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import overrides
from languages import Languages, as_table
from chapters import (CORE, LINK, SPAN, SYMBOL, Chapter, Symbols, listed, outside_of_code, slug)

HERE = pathlib.Path(__file__).resolve().parent
LANGUAGES = {'c': 'C', 'js': 'GJS', 'python': 'Python', 'vala': 'Vala'}
EXTRA = ('usock.css', 'usock.js')
API_PAGES = {'python-api.md': 'What Python adds', 'gjs-api.md': 'What GJS adds'}
API_LINES = {'python-api.md': 'every call that is Python’s own',
             'gjs-api.md': 'every call that is JavaScript’s own'}


def as_span(text, symbols):
    """A span of code: a link if it is a name, and nothing that gi-docgen takes for a mark of its own."""
    page = symbols.page(text) if SYMBOL.fullmatch(text) else None
    if page:
        return f'[`{text}`]({page})'
    if re.search(r'[@#%]', text):
        return '<code>' + re.sub(r'\W|_', lambda each: f'&#{ord(each[0])};', text) + '</code>'
    return f'`{text}`'


def as_link(match, source_url):
    mark, text, target = match.groups()
    if re.match(r'https?:|#', target):
        return match[0]
    if target.startswith('figures/'):
        return f'{mark}[{text}]({target.removeprefix("figures/")})'
    if not re.search(r'\.md(#|$)', target) or target.startswith('../'):
        path = target.removeprefix('../') if target.startswith('../') else f'doc/{target}'
        return f'[{text}]({source_url}{path})' if source_url else text
    return f'{mark}[{text}]({target.replace(".md", ".html", 1)})'


def with_links(text, symbols, source_url):
    def change(prose):
        # Spans first: what stands in them is no link, and links may have spans for their text.
        spans = []

        def keep(match):
            spans.append(match[1])
            return f'\0{len(spans) - 1}\0'

        def give(match):
            return f'`{spans[int(match[1])]}`'

        prose = SPAN.sub(keep, prose)
        prose = LINK.sub(lambda match: as_link(
            re.match(LINK, re.sub('\0(\\d+)\0', give, match[0])), source_url)
            if '\0' in match[0] else as_link(match, source_url), prose)
        prose = re.sub('\0(\\d+)\0', lambda match: as_span(spans[int(match[1])], symbols), prose)
        return re.sub(r'(src|srcset)="figures/', r'\1="', prose)

    return outside_of_code(text, change)


def with_languages(text):
    """Each block tells of which language it is, by which the script of the pages can make tabs."""
    def label(match):
        language = LANGUAGES.get(match[1])
        return f'<p class="language">{language}</p>\n\n{match[0]}' if language else match[0]

    return re.sub(r'^```(\w+)\n.*?^```$', label, text, flags=re.MULTILINE | re.DOTALL)


def neighbours(before, after):
    links = []
    if before:
        links.append(f'<a rel="prev" href="{before.page}">{html.escape(before.title)}</a>')
    if after:
        links.append(f'<a rel="next" href="{after.page}">{html.escape(after.title)}</a>')
    return '\n\n<nav class="neighbours">' + ''.join(links) + '</nav>\n'


# What the overrides add

def first_sentence(doc):
    text = ' '.join((doc or '').split('\n\n')[0].split())
    text = re.sub(r'\[\w+@(?:Usock\.)?([\w.:-]+)\]', r'`\1`', text)
    return re.split(r'(?<=[.:;]) ', text)[0].rstrip(':;')


def api_rows(entries, symbols):
    for entry in entries:
        name = '.'.join(filter(None, ('Usock', entry.owner, entry.name)))
        alike = (f'{name}()', *(f'Usock.{entry.owner}.{verb}_{entry.name}()' for verb in ('get', 'dup')))
        doc = entry.doc or next(filter(None, (first_sentence(symbols.docs.get(each))
                                              for each in alike)), '')
        if not doc and not symbols.page(f'{name}()') and entry.signature == f'{entry.name}(fd)':
            continue
        call = ('await ' if entry.awaited else '') + entry.signature
        if entry.static and entry.owner:
            call = ('await ' if entry.awaited else '') + f'{entry.owner}.{entry.signature}'
        place = f'<a id="{name.lower()}"></a>'
        yield f'| {place}`{call}` | {html.escape(doc, quote=False)} |'.replace('\n', ' ')


def api_page(title, introduction, entries, classes, symbols):
    lines = [f'Title: {title}', '', f'# {title}', '', introduction, '']
    owners = {*classes, *(entry.owner for entry in entries)}
    for owner in sorted(owners, key=lambda name: (name is not None, name or '')):
        lines += [f'## {owner}' if owner else '## Functions', '']
        if classes.get(owner):
            lines += [html.escape(classes[owner], quote=False), '']
        rows = list(api_rows([entry for entry in entries if entry.owner == owner], symbols))
        if rows:
            lines += ['| call | what it is |', '| --- | --- |', *rows, '']
    return '\n'.join(lines)


INTRODUCTIONS = {
    'python-api.md': 'The override of PyGObject stands on top of what the introspection gives. It '
        'adds these calls to the classes, or has them take what is usual in Python: bytes of every '
        'kind, text, `pathlib.Path`, and for a descriptor whatever has a `fileno()`. What begins with '
        '`await` is a coroutine, under asyncio and `Usock.run()` alike; its `timeout=` is in seconds.',
    'gjs-api.md': 'The override of GJS stands on top of what the introspection gives. It adds these '
        'calls to the classes, or has them take what is usual in JavaScript: a string, a '
        '`Uint8Array`, another view or an `ArrayBuffer`. Names in braces are options, which an '
        'object has. What begins with `await` returns a promise; its `timeout` is in milliseconds.',
}


def read_overrides(source, symbols):
    """The two pages. What stands in them can be linked to."""
    directory = source / 'usock/overrides'
    found = {
        'python-api.md': overrides.python((directory / 'Usock.py').read_text(encoding='utf-8')),
        'gjs-api.md': overrides.javascript((directory / 'Usock.js').read_text(encoding='utf-8')),
    }
    for page, (entries, classes) in found.items():
        for entry in entries:
            name = '.'.join(filter(None, ('Usock', entry.owner, entry.name)))
            symbols.add(f'{name}()', f'{page.replace(".md", ".html")}#{name.lower()}')
        for owner in classes:
            symbols.add(f'Usock.{owner}', f'{page.replace(".md", ".html")}#{owner.lower()}')
    return found


# The classes

def class_examples(path):
    """The blocks below the heading of each class."""
    parts = re.split(r'^## (\w+)\n', path.read_text(encoding='utf-8'), flags=re.MULTILINE)
    return {name: re.findall(r'^```\w+\n.*?^```$', text, re.MULTILINE | re.DOTALL)
            for name, text in zip(parts[1::2], parts[2::2])}


def add_examples(element, examples):
    """Puts the examples of a class behind its first paragraph, in the place of its own one."""
    doc = element.find(CORE + 'doc')
    first, _, rest = doc.text.partition('\n\n')
    rest = re.sub(r'^```c\n.*?^```\n*', '', rest, count=1, flags=re.MULTILINE | re.DOTALL)
    blocks = '\n\n'.join(examples)
    doc.text = f'{first}\n\n{with_languages(blocks)}\n\n{rest}'


def add_languages(element, languages):
    """Says of each call, property and signal how it is written in scripts."""
    owner = element.get('name')
    for member in element:
        doc = member.find(CORE + 'doc')
        rows = languages.rows(owner, member) if doc is not None else []
        if rows:
            doc.text = f'{doc.text}\n\n{as_table(rows)}\n'


def write_gir(gir, target, examples, languages):
    """Writes a GIR that tells of every language."""
    ElementTree.register_namespace('', CORE[1:-1])
    ElementTree.register_namespace('c', 'http://www.gtk.org/introspection/c/1.0')
    ElementTree.register_namespace('glib', 'http://www.gtk.org/introspection/glib/1.0')
    tree = ElementTree.parse(gir)
    for element in tree.getroot().iter():
        name = element.get('filename')
        if name:
            element.set('filename', re.sub(r'^(\.\./)+', '', name))
    for element in tree.getroot().find(CORE + 'namespace'):
        doc = element.find(CORE + 'doc')
        if doc is None:
            continue
        if element.tag in (CORE + 'class', CORE + 'record'):
            if element.get('name') in examples:
                add_examples(element, examples[element.get('name')])
            add_languages(element, languages)
        elif element.tag == CORE + 'function':
            rows = languages.call(None, element)
            doc.text += f'\n\n{as_table(rows)}\n' if rows else ''
    tree.write(target, encoding='utf-8', xml_declaration=True)


# What gi-docgen has made

def sidebar(parts, titles, current):
    lines = ['<details class="section chapters"' + (' open' if current else '') + '>',
             '<summary>Chapters</summary>', '<div class="links">']
    for part, files in parts:
        lines.append(f'<p>{html.escape(part)}</p>')
        for name in files:
            page = name.replace('.md', '.html')
            mark = ' class="current" aria-current="page"' if page == current else ''
            lines.append(f'<a{mark} href="{page}">{html.escape(titles[name])}</a>')
    return '\n'.join([*lines, '</div>', '</details>'])


def chapter_list(parts, titles):
    lines = ['<div class="chapter-list">']
    for part, files in parts:
        lines += [f'<h5>{html.escape(part)}</h5>', '<ul>']
        for name, line in files.items():
            rest = f': {html.escape(line)}' if line else ''
            lines.append(f'<li><a href="{name.replace(".md", ".html")}">'
                         f'{html.escape(titles[name])}</a>{rest}</li>')
        lines.append('</ul>')
    return '\n'.join([*lines, '</div>'])


def finish_page(path, parts, titles):
    text = path.read_text(encoding='utf-8')
    head = ''.join([
        '<link rel="icon" type="image/svg+xml" href="logo.svg">\n',
        '<link rel="stylesheet" href="usock.css" type="text/css">\n',
        '<script src="usock.js" defer></script>\n</head>'])
    text = text.replace('</head>', head, 1)
    # A search engine of files has no use for it, and neither has a reader.
    text = re.sub(r'<tr><td><em>(Website|Source)</em></td><td><a href="" class="external"></a></td></tr>',
                  '', text)
    if path.name == 'index.html':
        text = re.sub(r'(<h4 id="extra".*?)Additional documentation(.*?)<ul>.*?</ul>',
                      lambda match: f'{match[1]}Chapters{match[2]}{chapter_list(parts, titles)}',
                      text, count=1, flags=re.DOTALL)
    elif path.stem + '.md' in API_PAGES:
        text = text.replace('<table>', '<table class="calls">')
    pages = {name.replace('.md', '.html') for name in titles}
    is_open = path.name in pages or path.name == 'index.html'
    menu = sidebar(parts, titles, path.name if is_open else None)
    text = re.sub(r'(<div class="section namespace">.*?</div>)', lambda match: match[1] + '\n' + menu,
                  text, count=1, flags=re.DOTALL)
    path.write_text(text, encoding='utf-8')


def search_entries(chapters):
    for chapter in chapters:
        for word in chapter.keywords:
            yield {'type': 'content', 'name': word, 'href': chapter.page,
                   'summary': html.escape(chapter.title)}
        for heading, paragraph in chapter.sections():
            plain = re.sub(r'[`*]|\[([^]]*)\]\([^)]*\)', r'\1', ' '.join(paragraph.split()))
            yield {'type': 'content', 'name': f'{re.sub("[`*]", "", heading)} — {chapter.title}',
                   'href': f'{chapter.page}#{slug(heading)}',
                   'summary': html.escape(plain[:160] + ('…' if len(plain) > 160 else ''))}


def finish_search(path, chapters, parts):
    index = json.loads(path.read_text(encoding='utf-8'))
    lines = {name.replace('.md', '.html'): line for _, files in parts
             for name, line in files.items()}
    for item in index['symbols']:
        summary = re.sub(r'\[\w+@([\w.:-]+)\]', r'\1', item.get('summary', ''))
        # What was written for the page, and not for one line.
        summary = re.split(r' \| | ```|# ', summary)[0].strip()
        item['summary'] = html.escape(lines.get(item.get('href'), '')) or summary
    index['symbols'] += search_entries(chapters)
    path.write_text(json.dumps(index, ensure_ascii=False), encoding='utf-8')


def write_config(arguments, names, images, target):
    text = (HERE / 'usock.toml.in').read_text(encoding='utf-8')
    source = ''
    if arguments.source_url:
        source = f'[source-location]\nbase_url = {json.dumps(arguments.source_url)}\n'
    for key, value in {
        'version': arguments.version,
        'content_files': json.dumps(names, indent=2),
        'content_images': json.dumps(images, indent=2),
        'source_location': source,
    }.items():
        text = text.replace(f'@{key}@', value)
    target.write_text(text, encoding='utf-8')


def write_content(arguments, symbols, content):
    """Writes what gi-docgen reads; returns the parts, the chapters and all titles."""
    parts = listed(HERE)
    names = [name for _, files in parts for name in files]
    chapters = [Chapter(HERE / name) for name in names]
    for index, chapter in enumerate(chapters):
        before = chapters[index - 1] if index else None
        after = chapters[index + 1] if index + 1 < len(chapters) else None
        text = with_languages(with_links(chapter.text, symbols, arguments.source_url))
        content.joinpath(chapter.path.name).write_text(
            f'Title: {chapter.title}\n\n{text}{neighbours(before, after)}', encoding='utf-8')
    parts.append(('In scripts', API_LINES))
    titles = {chapter.path.name: chapter.title for chapter in chapters} | API_PAGES
    return parts, chapters, titles


def read_arguments():
    parser = argparse.ArgumentParser()
    for name in ('gidocgen', 'gir', 'source', 'output', 'config', 'version'):
        parser.add_argument(f'--{name}', required=True)
    parser.add_argument('--source-url', default='')
    parser.add_argument('--gir-directory', action='append', default=[])
    parser.add_argument('chapters', nargs='*')
    return parser.parse_args()


def main():
    arguments = read_arguments()
    config, output = pathlib.Path(arguments.config), pathlib.Path(arguments.output)
    content = config.parent / 'content'
    for directory in (content, output):
        shutil.rmtree(directory, ignore_errors=True)
    content.mkdir(parents=True)

    symbols = Symbols(arguments.gir, arguments.gir_directory)
    added = read_overrides(pathlib.Path(arguments.source), symbols)
    parts, chapters, titles = write_content(arguments, symbols, content)
    names = [chapter.path.name for chapter in chapters]
    if {pathlib.Path(path).name for path in arguments.chapters} - {'README.md'} != set(names):
        sys.exit('doc/README.md and doc/meson.build list other chapters')
    for page, (entries, classes) in added.items():
        text = api_page(API_PAGES[page], INTRODUCTIONS[page], entries, classes, symbols)
        content.joinpath(page).write_text(with_links(text, symbols, ''), encoding='utf-8')
    images = sorted(path.name for path in (HERE / 'figures').glob('*.svg'))
    write_config(arguments, [*names, *API_PAGES], images, config)
    gir = content / pathlib.Path(arguments.gir).name
    languages = Languages(*(entries for entries, _ in added.values()), symbols.parents())
    write_gir(arguments.gir, gir, class_examples(HERE / 'classes.md'), languages)

    directories = [f'--add-include-path={each}' for each in arguments.gir_directory]
    subprocess.run([arguments.gidocgen, 'generate', '--quiet', '--fatal-warnings',
                    f'--config={config}', f'--output-dir={output}', '--no-namespace-dir',
                    f'--content-dir={content}', f'--content-dir={HERE}',
                    f'--content-dir={HERE / "figures"}', *directories, gir], check=True)
    for name in EXTRA:
        shutil.copy(HERE / name, output)
    for path in output.glob('*.html'):
        finish_page(path, parts, titles)
    finish_search(output / 'index.json', chapters, parts)


if __name__ == '__main__':
    main()
