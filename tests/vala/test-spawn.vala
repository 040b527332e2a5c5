// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// A child with a channel.

async void converse () throws Error {
    Subprocess process;
    var stream = Usock.Stream.spawn ({ "sh", "-c", "cat <&3 >&3" }, SubprocessFlags.NONE,
                                     out process);
    stream.send_text ("hello\n");
    assert_cmpstr (yield stream.receive_line_async (null), CompareOperator.EQ, "hello");
    stream.end ();
    assert_null (yield stream.receive_line_async (null));
    assert_true (process.wait_check ());

    var channel = Usock.Seqpacket.spawn ({ "true" }, SubprocessFlags.NONE, out process);
    assert_null (yield channel.receive_async (null));
    assert_true (process.wait_check ());
}

int main (string[] args) {
    Test.init (ref args);
    Test.add_func ("/usock/vala/spawn", () => {
        var loop = new MainLoop ();
        converse.begin ((_object, result) => {
            try {
                converse.end (result);
            } catch (Error error) {
                GLib.error ("%s", error.message);
            }
            loop.quit ();
        });
        loop.run ();
    });
    return Test.run ();
}
