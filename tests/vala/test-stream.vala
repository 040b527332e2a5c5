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

void test_stealing () throws Error {
    Usock.Stream first;
    Usock.Stream second;
    Usock.Stream.new_pair (out first, out second);

    Bytes? unread;
    var connection = second.steal_connection (out unread);
    assert_null (unread);
    assert_true (connection is SocketConnection);
    first.send_text ("hello");
    assert_cmpint ((int) connection.input_stream.read (new uint8[10]), CompareOperator.EQ, 5);

    int fd = first.steal_fd (null);
    Posix.close (fd);
    assert_cmpint ((int) connection.input_stream.read (new uint8[10]), CompareOperator.EQ, 0);
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
    add ("stealing", test_stealing);
    return Test.run ();
}
