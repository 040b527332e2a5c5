# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""flat-headers.py SOURCES BUILD

Writes a header for each of the rooms, private ones too, into the build folder, which includes it from
where it is. So a small program is compiled against the build with the two folders alone, and finds all
headers side by side, as installed ones are:

    cc -I usock -I _build/usock -I . -I _build -DUSOCK_COMPILATION -DUSOCK_FAULTS case.c
        _build/usock/libusock-1-faults.a $(pkg-config --cflags --libs gio-unix-2.0)
"""

import os
import pathlib
import sys


def main():
    sources, build = map(pathlib.Path, sys.argv[1:])
    headers = [*sources.glob('*/*.h'), *build.glob('*/*.h'), build / 'base/usock-enums.h']
    for header in headers:
        flat = build / header.name
        text = f'#include "{os.path.relpath(header, build)}"\n'
        if not flat.exists() or flat.read_text() != text:
            flat.write_text(text)


if __name__ == '__main__':
    main()
