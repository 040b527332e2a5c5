// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// What a Vala program meets: signals, async methods, descriptors, credentials and errors.

class Fixture {
    public string directory;
    public string path;
    public Usock.Seqpacket? client;
    public Usock.Seqpacket? served;
    string[] before;

    public Fixture () {
        try {
            directory = DirUtils.make_tmp ("usock-XXXXXX");
            path = Path.build_filename (directory, "socket");
            before = open_fds ();
            Usock.Seqpacket.new_pair (out client, out served);
        } catch (Error error) {
            Test.message ("%s", error.message);
            assert_not_reached ();
        }
    }

    static string[] open_fds () {
        string[] fds = {};
        try {
            var listing = Dir.open ("/proc/self/fd");
            for (unowned var name = listing.read_name (); name != null; name = listing.read_name ()) {
                var number = (!) name;
                try {
                    var target = FileUtils.read_link (@"/proc/self/fd/$number");
                    // GLib's own come when they are first needed.
                    if (!target.has_suffix ("/fd") && target != "anon_inode:[eventfd]")
                        fds += @"$number $target";
                } catch (Error error) {
                    // The one that lists the directory.
                }
            }
        } catch (Error error) {
            assert_not_reached ();
        }
        return fds;
    }

    static bool is_subset (string[] fds, string[] all) {
        foreach (unowned var fd in fds)
            if (!(fd in all))
                return false;
        return true;
    }

    public delegate bool Condition ();

    public void wait_for (Condition condition) {
        var late = false;
        var timer = new TimeoutSource.seconds (20);
        timer.set_callback (() => {
            late = true;
            return Source.CONTINUE;
        });
        timer.attach (null);
        while (!condition ()) {
            assert_false (late);
            MainContext.default ().iteration (true);
        }
        timer.destroy ();
    }

    public void finish () {
        client.close ();
        served.close ();
        client = null;
        served = null;
        var tick = Timeout.add (5, () => Source.CONTINUE);
        wait_for (() => is_subset (open_fds (), before));
        Source.remove (tick);
        FileUtils.unlink (path);
        DirUtils.remove (directory);
    }
}

delegate void Body (Fixture fixture) throws Error;

void add (string name, owned Body body) {
    Test.add_data_func ("/usock/vala/" + name, () => {
        var fixture = new Fixture ();
        try {
            body (fixture);
        } catch (Error error) {
            Test.message ("%s", error.message);
            Test.fail ();
        }
        fixture.finish ();
    });
}

string text_of (uint8[] data) {
    var text = new StringBuilder ();
    text.append_len ((string) data, data.length);
    return text.str;
}

void test_conversation (Fixture fixture) throws Error {
    var order = new StringBuilder ();
    var server = new Usock.Server (SocketType.SEQPACKET);
    server.connection.connect ((channel) => {
        // A handler that captured its own channel would keep it for ever.
        channel.data.connect ((self, bytes) => {
            try {
                self.send (bytes.data);
            } catch (Error error) {
                assert_not_reached ();
            }
        });
    });
    server.listening.connect (() => order.append ("listening "));
    server.listen_on_path (fixture.path, 0);
    assert_true (server.active);

    var client = new Usock.Seqpacket ();
    var closed = false;
    client.connect.connect (() => order.append ("connect "));
    client.data.connect ((self, bytes) => {
        order.append (text_of (bytes.data) + " ");
        self.end ();
    });
    client.end.connect (() => order.append ("end "));
    client.close.connect (() => {
        order.append ("close");
        closed = true;
    });
    client.connect_to_path (fixture.path);
    client.send ("hello".data);
    fixture.wait_for (() => closed);
    assert_cmpstr (order.str, CompareOperator.EQ, "listening connect hello end close");
    assert_cmpuint ((uint) client.get_messages_read (), CompareOperator.EQ, 1);
    server.close ();
}

async string[] receive_all (Usock.Channel channel) throws Error {
    string[] texts = {};
    for (var message = yield channel.receive_async (null); message != null;
         message = yield channel.receive_async (null))
        texts += message.dup_text ();
    return texts;
}

void test_async (Fixture fixture) throws Error {
    string[]? texts = null;
    receive_all.begin (fixture.served, (source, result) => {
        try {
            texts = receive_all.end (result);
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    fixture.client.send_text ("one");
    fixture.client.send (null);
    fixture.client.send_bytes (new Bytes ("three".data));
    Usock.Message[] messages = { new Usock.Message ("four".data),
                                 new Usock.Message.from_text ("five") };
    assert_cmpuint ((uint) fixture.client.send_messages (messages), CompareOperator.EQ, 2);
    fixture.client.end ();
    fixture.wait_for (() => texts != null);
    assert_cmpstr (string.joinv ("|", texts), CompareOperator.EQ, "one||three|four|five");
}

async void cancel_then_receive (Usock.Channel client, Usock.Channel served) throws Error {
    var cancellable = new Cancellable ();
    Idle.add (() => {
        cancellable.cancel ();
        return Source.REMOVE;
    });
    try {
        yield served.receive_async (cancellable);
        assert_not_reached ();
    } catch (IOError.CANCELLED error) {
        client.send_text ("not lost");
    }
    var message = yield served.receive_async (null);
    assert_cmpstr (message.dup_text (), CompareOperator.EQ, "not lost");
}

void test_cancel (Fixture fixture) throws Error {
    var done = false;
    cancel_then_receive.begin (fixture.client, fixture.served, (source, result) => {
        try {
            cancel_then_receive.end (result);
        } catch (Error error) {
            assert_not_reached ();
        }
        done = true;
    });
    fixture.wait_for (() => done);
}

void test_descriptors (Fixture fixture) throws Error {
    fixture.served.max_fds = 2;
    var taken = -1;
    fixture.served.message.connect ((message) => {
        assert_cmpuint (message.get_n_fds (), CompareOperator.EQ, 2);
        assert_true (message.get_fd_kind (0) == Usock.FdKind.DEVICE);
        try {
            taken = message.take_fd (1);
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    var null_fd = Posix.open ("/dev/null", Posix.O_RDONLY);
    fixture.client.send_with_fds ("two".data, { null_fd, null_fd });
    Posix.close (null_fd);
    fixture.wait_for (() => taken != -1);
    assert_cmpstr (FileUtils.read_link (@"/proc/self/fd/$taken"), CompareOperator.EQ, "/dev/null");
    Posix.close (taken);
    try {
        fixture.client.send_with_fds ("bad".data, { -1 });
        assert_not_reached ();
    } catch (IOError.INVALID_ARGUMENT error) {
        assert_true ("-1" in error.message);
    }
}

void test_credentials (Fixture fixture) throws Error {
    fixture.served.pass_credentials = true;
    fixture.client.send_text ("who");
    Credentials? credentials = null;
    fixture.served.message.connect ((message) => {
        credentials = message.get_credentials ();
    });
    fixture.wait_for (() => credentials != null);
    assert_cmpint (credentials.get_unix_pid (), CompareOperator.EQ, Posix.getpid ());
    assert_cmpint (fixture.client.get_peer_credentials ().get_unix_pid (), CompareOperator.EQ,
                   Posix.getpid ());
}

void test_errors (Fixture fixture) throws Error {
    try {
        new Usock.Seqpacket ().connect_to_path (fixture.path);
        assert_not_reached ();
    } catch (IOError.NOT_FOUND error) {
        assert_true (fixture.path in error.message);
    }
    try {
        new Usock.Seqpacket.from_fd (-1);
        assert_not_reached ();
    } catch (Error error) {
        Test.message ("%s", error.message);
    }
    try {
        fixture.client.send (new uint8[5000000]);
        assert_not_reached ();
    } catch (IOError.MESSAGE_TOO_LARGE error) {
        fixture.client.send_text ("next");
    }
    fixture.client.close ();
    try {
        fixture.client.send_text ("closed");
        assert_not_reached ();
    } catch (IOError.CLOSED error) {
        Test.message ("%s", error.message);
    }
}

void test_reset (Fixture fixture) throws Error {
    var order = new StringBuilder ();
    fixture.served.data.connect ((bytes) => order.append (text_of (bytes.data) + " "));
    fixture.served.error.connect ((error) => {
        order.append ((error is IOError.CONNECTION_CLOSED) ? "reset " : error.message);
    });
    fixture.served.close.connect (() => order.append ("close"));
    fixture.served.send_text ("never read");
    fixture.client.send_text ("first");
    fixture.client.close ();
    fixture.wait_for (() => order.str.has_suffix ("close"));
    assert_cmpstr (order.str, CompareOperator.EQ, "first reset close");
}

void test_batch (Fixture fixture) throws Error {
    uint n = 0;
    uint emissions = 0;
    fixture.served.batch.connect ((batch) => {
        foreach (unowned var bytes in batch)
            assert_cmpstr (text_of (bytes.data), CompareOperator.EQ, (n++).to_string ());
        emissions++;
    });
    for (var i = 0; i < 100; i++)
        fixture.client.send_text (i.to_string ());
    fixture.wait_for (() => n == 100);
    assert_cmpuint (emissions, CompareOperator.LT, 100);
}

void test_names (Fixture fixture) throws Error {
    Environment.set_variable ("XDG_RUNTIME_DIR", fixture.directory, true);
    string? received = null;
    var closed = 0;
    var server = new Usock.Server.for_name ("org.example.App");
    server.connection.connect ((channel) => {
        channel.data.connect ((bytes) => {
            received = text_of (bytes.data);
        });
    });
    server.close.connect (() => closed++);

    var client = new Usock.Seqpacket.for_name ("org.example.App");
    client.send_text ("hello");
    fixture.wait_for (() => received != null);
    assert_cmpstr ((!) received, CompareOperator.EQ, "hello");
    client.close ();
    server.close ();
    fixture.wait_for (() => closed == 1);

    try {
        new Usock.Server (SocketType.STREAM).listen_activated (null);
        assert_not_reached ();
    } catch (IOError.NOT_FOUND error) {
    }
}

int main (string[] args) {
    Test.init (ref args);
    add ("conversation", test_conversation);
    add ("async", test_async);
    add ("cancel", test_cancel);
    add ("descriptors", test_descriptors);
    add ("credentials", test_credentials);
    add ("errors", test_errors);
    add ("reset", test_reset);
    add ("batch", test_batch);
    add ("names", test_names);
    return Test.run ();
}
