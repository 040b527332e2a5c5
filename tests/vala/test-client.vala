// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// A connection that comes back, in Vala.

class Story {
    public Usock.Server server;
    public Usock.Client client;
    public string path;
    public uint n_lost;

    public Story () throws Error {
        path = "@usock-vala-client-%d".printf ((int) Random.next_int ());
        client = new Usock.Client (typeof (Usock.Seqpacket));
        client.min_delay = 1;
        client.max_delay = 5;
        client.disconnected.connect (reason => { n_lost++; });
        client.start_for_path (path);
    }

    public void serve () throws Error {
        server = new Usock.Server (SocketType.SEQPACKET);
        server.connection.connect (channel => {
            var peer = new Usock.Peer (channel);
            peer.handle ("Echo", (peer, call) => {
                try {
                    call.reply (call.get_body ());
                } catch (Error error) {
                    assert_not_reached ();
                }
            });
        });
        server.listen_on_path (path, 0);
    }

    public void hang_up () {
        for (uint i = server.get_n_items (); i > 0; i--)
            ((Usock.Channel) server.get_item (i - 1)).close ();
        server.close ();
    }

    public void finish () {
        client.stop ();
        server.close ();
        Usock.run_until_closed (null);
    }
}

async void ask (Story story) throws Error {
    var channel = yield story.client.wait_async (null);
    assert_true (channel == story.client.channel);
    var reply = yield story.client.get_peer ().call_async ("Echo",
        new Usock.Message.from_text ("text"), 5000, null);
    assert_cmpstr (reply.dup_text (), CompareOperator.EQ, "text");
}

void test_comes_back () throws Error {
    var story = new Story ();

    for (uint i = 0; i < 3; i++) {
        var done = false;

        story.serve ();
        ask.begin (story, (object, result) => {
            try {
                ask.end (result);
            } catch (Error error) {
                assert_not_reached ();
            }
            done = true;
        });
        while (!done)
            MainContext.default ().iteration (true);
        story.hang_up ();
        while (story.n_lost == i)
            MainContext.default ().iteration (true);
    }
    story.finish ();
}

void test_unsent () throws Error {
    var client = new Usock.Client (typeof (Usock.Stream));
    var done = false;

    client.unsent.connect ((message, reason) => {
        assert_true (reason is IOError.CLOSED);
        done = true;
    });
    client.start_for_path ("@usock-vala-nobody");
    client.send_text ("lost");
    assert_true (client.get_queued_bytes () > 0);
    client.stop ();
    while (!done)
        MainContext.default ().iteration (true);
    Usock.run_until_closed (null);
}

void main (string[] args) {
    Test.init (ref args);
    Test.add_func ("/vala/client/comes-back", () => {
        try {
            test_comes_back ();
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    Test.add_func ("/vala/client/unsent", () => {
        try {
            test_unsent ();
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    Test.run ();
}
