// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Streams as a Vala program meets them.

delegate bool Condition ();

void wait_for (Condition condition) {
    var late = false;
    var timer = Timeout.add_seconds (20, () => {
        late = true;
        return Source.CONTINUE;
    });
    while (!condition ()) {
        assert_false (late);
        MainContext.default ().iteration (true);
    }
    Source.remove (timer);
}

async void receive () throws Error {
    Usock.Stream first;
    Usock.Stream second;
    Usock.Stream.new_pair (out first, out second);
    second.max_fds = 1;

    first.send_text ("one\ntwo\nabcdefg");
    assert_cmpstr (yield second.receive_line_async (null), CompareOperator.EQ, "one");
    assert_cmpstr (yield second.receive_line_async (null), CompareOperator.EQ, "two");
    assert_cmpstr (yield second.receive_text_async (null), CompareOperator.EQ, "abcdefg");

    first.cork ();
    first.send_with_fds ("ab".data, { 0 });
    first.send_text ("cd");
    first.uncork ();
    var message = yield second.receive_exactly_async (3, 1, null);
    assert_cmpuint (message.get_n_fds (), CompareOperator.EQ, 1);
    assert_cmpstr (message.dup_text (), CompareOperator.EQ, "abc");
    second.unread (message);

    first.end_with_message (new Usock.Message.from_text ("."));
    assert_cmpstr (yield second.receive_line_async (null), CompareOperator.EQ, "abcd.");
    message = yield second.receive_exactly_async (0, 1, null);
    assert_cmpuint (message.get_n_fds (), CompareOperator.EQ, 1);
    assert_null (yield second.receive_line_async (null));
    first.close ();
}

void test_receive () throws Error {
    var done = false;
    receive.begin ((source, result) => {
        try {
            receive.end (result);
        } catch (Error error) {
            Test.message ("%s", error.message);
            Test.fail ();
        }
        done = true;
    });
    wait_for (() => done);
}

async void look_through () throws Error {
    Usock.Stream first;
    Usock.Stream second;
    Usock.Stream.new_pair (out first, out second);
    second.max_fds = 1;
    var output = first.create_io_stream ().output_stream;
    var lines = new DataInputStream (second.create_io_stream ().input_stream);

    first.append_fd (0);
    yield output.write_all_async ("one\ntwo\n".data, Priority.DEFAULT, null, null);
    assert_cmpstr (yield lines.read_line_async (), CompareOperator.EQ, "one");
    assert_cmpstr (lines.read_line (), CompareOperator.EQ, "two");
    int[] fds = second.take_fds ();
    assert_cmpint (fds.length, CompareOperator.EQ, 1);
    Posix.close (fds[0]);

    yield output.close_async ();
    assert_null (yield lines.read_line_async ());
    first.close ();
}

void test_view () throws Error {
    var done = false;
    look_through.begin ((source, result) => {
        try {
            look_through.end (result);
        } catch (Error error) {
            Test.message ("%s", error.message);
            Test.fail ();
        }
        done = true;
    });
    wait_for (() => done);
}

delegate void Body () throws Error;

void add (string name, owned Body body) {
    Test.add_data_func ("/usock/vala/stream/" + name, () => {
        try {
            body ();
        } catch (Error error) {
            Test.message ("%s", error.message);
            Test.fail ();
        }
    });
}

int main (string[] args) {
    Test.init (ref args);
    add ("receive", test_receive);
    add ("view", test_view);
    return Test.run ();
}
