#!/usr/bin/python3
# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A window with the connections of a server, which is the model of the list: gtk-connections.py PATH"""
import gi, pwd, sys
gi.require_version('Gtk', '4.0')
gi.require_version('Usock', '1')
from collections.abc import Callable
from gi.repository import Gtk, Pango, Usock


class Client(Usock.Seqpacket):
    """A connection, with what the window shows of it."""
    said = ''

    def hear(self, data: bytes) -> None:
        self.said = data.decode(errors='replace')

    def process(self) -> str:
        return str(self.get_peer_credentials().get_unix_pid())

    def user(self) -> str:
        uid = self.get_peer_credentials().get_unix_user()
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)


def make_column(title: str, setup: Callable[..., None], bind: Callable[..., None],
                unbind: Callable[..., None]) -> Gtk.ColumnViewColumn:
    factory = Gtk.SignalListItemFactory()
    factory.connect('setup', setup)
    factory.connect('bind', bind)
    factory.connect('unbind', unbind)
    return Gtk.ColumnViewColumn(title=title, factory=factory, resizable=True)


def make_text_column(title: str, tell: Callable[[Client], str]) -> Gtk.ColumnViewColumn:
    def setup(factory: Gtk.ListItemFactory, item: Gtk.ListItem) -> None:
        item.set_child(Gtk.Label(xalign=0, ellipsize=Pango.EllipsizeMode.END, width_chars=8))

    def bind(factory: Gtk.ListItemFactory, item: Gtk.ListItem) -> None:
        client, label = item.get_item(), item.get_child()
        label.set_text(tell(client))
        # After hear(), whichever of the two was connected first.
        label.handler = client.connect_after('data', lambda *_: label.set_text(tell(client)))

    def unbind(factory: Gtk.ListItemFactory, item: Gtk.ListItem) -> None:
        item.get_item().disconnect(item.get_child().handler)

    return make_column(title, setup, bind, unbind)


def make_button_column() -> Gtk.ColumnViewColumn:
    def setup(factory: Gtk.ListItemFactory, item: Gtk.ListItem) -> None:
        item.set_child(Gtk.Button(label='Disconnect'))

    def bind(factory: Gtk.ListItemFactory, item: Gtk.ListItem) -> None:
        client, button = item.get_item(), item.get_child()
        button.handler = button.connect('clicked', lambda _: client.close())

    def unbind(factory: Gtk.ListItemFactory, item: Gtk.ListItem) -> None:
        item.get_child().disconnect(item.get_child().handler)

    return make_column('', setup, bind, unbind)


def show(app: Gtk.Application, server: Usock.Server) -> None:
    view = Gtk.ColumnView(model=Gtk.NoSelection(model=server))
    for title, tell in {'Process': Client.process, 'User': Client.user,
                        'Messages': lambda client: str(client.get_messages_read()),
                        'Bytes': lambda client: str(client.get_bytes_read())}.items():
        view.append_column(make_text_column(title, tell))
    says = make_text_column('Says', lambda client: client.said)
    says.set_expand(True)
    view.append_column(says)
    view.append_column(make_button_column())
    window = Gtk.ApplicationWindow(application=app, title='Connections', default_width=620,
                                   default_height=320, child=Gtk.ScrolledWindow(child=view))
    window.present()


def main(path: str) -> int:
    app = Gtk.Application()
    with Usock.Server(channel_type=Client) as server:
        server.connect('connection', lambda server, client: client.connect('data', Client.hear))
        server.listen(path)
        app.connect('activate', show, server)
        return int(app.run())


sys.exit(main(sys.argv[1]))
