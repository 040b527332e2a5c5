// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What is imported after this finds the symbols, as in an engine that has them.

for (const name of ['dispose', 'asyncDispose']) {
    if (!(name in Symbol))
        Object.defineProperty(Symbol, name, {value: Symbol(`Symbol.${name}`)});
}
