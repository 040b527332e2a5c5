// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Makes tabs of one example in several languages, and keeps the language that was chosen. Without
// it everything is there, one below the other.

(function () {
    'use strict';

    const KEY = 'usock-language';

    function load() {
        try {
            return localStorage.getItem(KEY);
        } catch {
            return null; // Pages that are read from files may not store anything.
        }
    }

    function store(language) {
        try {
            localStorage.setItem(KEY, language);
        } catch {
            // It is chosen for this page only.
        }
    }

    // Runs of a label and its block, of which none has the language of another.
    function findGroups() {
        const groups = [];
        let group = [];
        let last = null;
        for (const label of document.querySelectorAll('p.language')) {
            const block = label.nextElementSibling;
            if (!block?.classList.contains('codehilite'))
                continue;
            const language = label.textContent;
            const follows = last !== null && last.nextElementSibling === label &&
                !group.some(item => item.language === language);
            if (!follows && group.length > 0) {
                groups.push(group);
                group = [];
            }
            group.push({label, block, language});
            last = block;
        }
        if (group.length > 0)
            groups.push(group);
        return groups.filter(each => each.length > 1);
    }

    const allTabs = [];

    function choose(language, focused) {
        for (const tabs of allTabs) {
            const chosen = tabs.some(tab => tab.language === language) ? language
                : tabs[0].language;
            for (const tab of tabs) {
                const isChosen = tab.language === chosen;
                tab.button.setAttribute('aria-selected', String(isChosen));
                tab.button.tabIndex = isChosen ? 0 : -1;
                tab.block.hidden = !isChosen;
            }
        }
        focused?.focus();
    }

    function makeTabs(group, index) {
        const box = document.createElement('div');
        const list = document.createElement('div');
        box.className = 'languages';
        list.setAttribute('role', 'tablist');
        list.setAttribute('aria-label', 'Language');
        group[0].label.before(box);
        box.append(list);
        const tabs = group.map(({label, block, language}, i) => {
            const button = document.createElement('button');
            button.type = 'button';
            button.textContent = language;
            button.setAttribute('role', 'tab');
            button.id = `language-${index}-${i}`;
            block.setAttribute('role', 'tabpanel');
            block.setAttribute('aria-labelledby', button.id);
            label.remove();
            list.append(button);
            box.append(block);
            return {button, block, language};
        });
        list.addEventListener('click', event => {
            const tab = tabs.find(each => each.button === event.target);
            if (tab) {
                const before = tab.button.getBoundingClientRect().top;
                store(tab.language);
                choose(tab.language);
                // Other examples of the page have changed their heights; this one stays in place.
                window.scrollBy(0, tab.button.getBoundingClientRect().top - before);
            }
        });
        list.addEventListener('keydown', event => {
            const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
            const at = tabs.findIndex(each => each.button === document.activeElement);
            if (step && at !== -1) {
                const tab = tabs[(at + step + tabs.length) % tabs.length];
                store(tab.language);
                choose(tab.language, tab.button);
                event.preventDefault();
            }
        });
        allTabs.push(tabs);
    }

    // On a narrow screen the list of everything is folded.
    function foldMenu() {
        const sidebar = document.querySelector('nav.sidebar');
        if (!sidebar)
            return;
        const button = document.createElement('button');
        button.type = 'button';
        button.className = 'menu-button';
        button.textContent = 'Contents';
        button.setAttribute('aria-expanded', 'false');
        sidebar.classList.add('folded');
        button.addEventListener('click', () => {
            const folded = sidebar.classList.toggle('folded');
            button.setAttribute('aria-expanded', String(!folded));
        });
        sidebar.prepend(button);
    }

    findGroups().forEach(makeTabs);
    choose(load());
    foldMenu();
    document.querySelector('.sidebar .chapters .current')?.scrollIntoView({block: 'nearest'});
})();
