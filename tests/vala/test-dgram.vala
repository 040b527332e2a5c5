// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Datagrams as a Vala program meets them.

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

string name_of (string role) {
    return @"@usock-vala-$((int) Posix.getpid ())-$role";
}

string text_of (uint8[] data) {
    var text = new StringBuilder ();
    text.append_len ((string) data, data.length);
    return text.str;
}

void test_question_and_answer () throws Error {
    var server = new Usock.Dgram ();
    var listening = false;
    server.listening.connect (() => listening = true);
    server.datagram.connect ((self, bytes, sender) => {
        try {
            self.send_to (("re: " + text_of (bytes.data)).data, (!) sender);
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    server.bind_to_path (name_of ("server"));

    var client = new Usock.Dgram ();
    string? answer = null;
    client.datagram.connect ((bytes, sender) => {
        assert_cmpstr (sender, CompareOperator.EQ, name_of ("server"));
        answer = text_of (bytes.data);
    });
    client.autobind ();
    client.send_to ("question".data, name_of ("server"));
    wait_for (() => answer != null);
    assert_true (listening);
    assert_cmpstr (answer, CompareOperator.EQ, "re: question");
    server.close ();
    client.close ();
}

async void send_and_receive () throws Error {
    Usock.Dgram first;
    Usock.Dgram second;
    Usock.Dgram.new_pair (out first, out second);
    yield first.send_message_async (new Usock.Message.from_text ("by pair"), null);
    var message = yield second.receive_async (null);
    assert_cmpstr (message.dup_text (), CompareOperator.EQ, "by pair");
    assert_null (message.get_sender ());

    var receiver = new Usock.Dgram ();
    receiver.bind_to_path (name_of ("receiver"));
    var sender = new Usock.Dgram ();
    sender.bind_to_path (name_of ("sender"));
    var address = Usock.address_parse (name_of ("receiver"));
    yield sender.send_message_to_async (new Usock.Message.from_text ("by name"), address, null);
    message = yield receiver.receive_async (null);
    assert_cmpstr (message.get_sender (), CompareOperator.EQ, name_of ("sender"));
    yield sender.send_message_to_text_async (new Usock.Message.from_text ("by text"),
                                             name_of ("receiver"), null);
    message = yield receiver.receive_async (null);
    assert_cmpstr (message.dup_text (), CompareOperator.EQ, "by text");
    string[] everybody = { name_of ("receiver"), name_of ("nobody") };
    assert_cmpuint ((uint) sender.send_message_to_all (message, everybody), CompareOperator.EQ, 1);

    try {
        sender.send_to ("x".data, name_of ("nobody"));
        assert_not_reached ();
    } catch (IOError.CONNECTION_REFUSED error) {
        assert_true (name_of ("nobody") in error.message);
    }
    foreach (var socket in new Usock.Dgram[] { first, second, receiver, sender })
        socket.close ();
}

void test_async () throws Error {
    var done = false;
    send_and_receive.begin ((source, result) => {
        try {
            send_and_receive.end (result);
        } catch (Error error) {
            Test.message ("%s", error.message);
            Test.fail ();
        }
        done = true;
    });
    wait_for (() => done);
}

void test_notify () throws Error {
    var manager = new Usock.Dgram ();
    manager.max_fds = 1;
    manager.bind_to_path (name_of ("manager"));
    Environment.set_variable ("NOTIFY_SOCKET", name_of ("manager"), true);
    Usock.notify ("FDSTORE=1", { 0 });
    string? state = null;
    manager.message.connect ((message) => {
        assert_cmpuint (message.get_n_fds (), CompareOperator.EQ, 1);
        state = text_of (message.get_data ());
    });
    wait_for (() => state != null);
    assert_cmpstr (state, CompareOperator.EQ, "FDSTORE=1");
    manager.close ();
}

delegate void Body () throws Error;

void add (string name, owned Body body) {
    Test.add_data_func ("/usock/vala/dgram/" + name, () => {
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
    add ("question-and-answer", test_question_and_answer);
    add ("async", test_async);
    add ("notify", test_notify);
    return Test.run ();
}
