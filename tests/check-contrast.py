# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What is written can be read: check-contrast.py ROOT

Colours of the pages and of the figures have a contrast of 4.5 at least against what they stand on,
light and dark, as WCAG's level AA wants it."""

import pathlib
import re
import sys

LEAST = 4.5

# What gi-docgen's own style has them stand on.
GROUNDS = {'light': ('#ffffff', '#f5f5f5'), 'dark': ('#121212', '#1e1e1e')}
SIDEBARS = {'light': '#151515', 'dark': '#1e1e1e'}
TEXTS = ('primary', 'text-color-muted', 'heading-docblock-color', 'code', 'code-word', 'code-text',
         'code-number', 'code-mark', 'code-comment')
# Text of the style's own on colours of ours.
BACKGROUNDS = {'sidebar-selected-bg': '#ffffff', 'accent-bg-color': '#ffffff'}


def rgb(text):
    if text.startswith('#'):
        return [int(text[i:i + 2], 16) for i in (1, 3, 5)]
    return [int(number) for number in re.findall(r'\d+', text)]


def luminance(color):
    parts = [value / 255 for value in rgb(color)]
    parts = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
             for value in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def variables(css):
    """The colours of both modes. Those of the dark one stand on those of the light one."""
    dark_blocks = re.findall(r'@media \(prefers-color-scheme: dark\) \{(.*?)^\}', css,
                             re.MULTILINE | re.DOTALL)
    light_css = re.sub(r'@media \(prefers-color-scheme: dark\) \{.*?^\}', '', css,
                       flags=re.MULTILINE | re.DOTALL)
    find = re.compile(r'--([\w-]+): (#[0-9a-f]{6}|rgb\([^)]*\));')
    light = dict(find.findall(light_css))
    return {'light': light, 'dark': light | dict(find.findall('\n'.join(dark_blocks)))}


def page_pairs(css):
    for mode, colors in variables(css).items():
        for name in TEXTS:
            for ground in GROUNDS[mode]:
                yield f'{mode} --{name}', colors[name], ground
        for name, text in BACKGROUNDS.items():
            yield f'{mode} --{name}', text, colors[name]


def figure_pairs(draw):
    for mode, palette in (('light', draw['LIGHT']), ('dark', draw['DARK'])):
        for name in ('ink', 'soft'):
            for ground in ('ground', 'box', 'blue-box', 'yellow-box', 'green-box', 'red-box'):
                yield f'{mode} {name} on {ground}', palette[name], palette[ground]
        for name in ('blue', 'yellow', 'green', 'red'):
            yield f'{mode} {name}', palette[name], palette[f'{name}-box']


def main():
    root = pathlib.Path(sys.argv[1])
    text = (root / 'doc/figures/draw.py').read_text(encoding='utf-8')
    draw = {name: dict(re.findall(r"'([\w-]+)': '(#[0-9a-f]{6})'", body))
            for name, body in re.findall(r'^(LIGHT|DARK) = \{(.*?)\}', text,
                                         re.MULTILINE | re.DOTALL)}
    pairs = [*page_pairs((root / 'doc/usock.css').read_text(encoding='utf-8')),
             *figure_pairs(draw)]
    problems = [f'{what}: {text} on {ground} has {contrast(text, ground):.2f}'
                for what, text, ground in pairs if contrast(text, ground) < LEAST]
    assert len(pairs) > 50, f'only {len(pairs)} pairs were found'
    print('\n'.join(problems) or f'{len(pairs)} pairs of colours can be told apart')
    sys.exit(bool(problems))


main()
