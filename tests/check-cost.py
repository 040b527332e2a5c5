#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

"""What things cost in instructions, which do not swing: check-cost.py PROGRAM TABLE [--update]

Each work of the table is done under callgrind so many times, and twice as many; what it takes more
for one must be within 15 % of what stands there. That holds for one machine, one compiler and one
GLib: meson.build knows which. A work that got cheaper is written down by ninja cost-update, and so
is, with a reason in the commit, one that has to be dearer.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

PROGRAM, TABLE = sys.argv[1], pathlib.Path(sys.argv[2])
COUNT = 2000
WITHIN = 0.15
COLLECTED = re.compile(r'Collected : (\d+)')


def collect(work, count):
    result = subprocess.run(
        ['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', PROGRAM, work,
         str(count)], check=True, text=True, capture_output=True,
        # Memory that is filled when it comes and goes is work that no program has.
        env={name: value for name, value in os.environ.items() if name != 'MALLOC_PERTURB_'})
    return int(COLLECTED.search(result.stderr)[1])


def cost(work):
    return work, round((collect(work, 2 * COUNT) - collect(work, COUNT)) / COUNT)


def compare(table, costs):
    worst = 0
    for work, now in costs.items():
        ratio = now / table[work]
        worst = max(worst, abs(ratio - 1))
        mark = '' if abs(ratio - 1) <= WITHIN else '  is not within 15 %'
        print(f'{work:10} {now:7} instructions, in the table {table[work]:7}{mark}')
    return 0 if worst <= WITHIN else 1


def main():
    table = json.loads(TABLE.read_text(encoding='utf-8'))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        costs = dict(pool.map(cost, table))
    if '--update' in sys.argv:
        TABLE.write_text(json.dumps(costs, indent=2) + '\n', encoding='utf-8')
        table = costs
    return compare(table, costs)


sys.exit(main())
