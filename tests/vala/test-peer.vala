// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Calls between programs in Vala.

class Scene {
    public Usock.Seqpacket first;
    public Usock.Seqpacket second;
    public Usock.Peer client;
    public Usock.Peer server;

    public Scene () throws Error {
        Usock.Seqpacket.new_pair (out first, out second);
        client = new Usock.Peer (first);
        server = new Usock.Peer (second);
    }

    public void finish () {
        first.close ();
        second.close ();
        Usock.run_until_closed (null);
    }
}

void run (Scene scene, owned SourceFunc is_done) {
    while (!is_done ())
        MainContext.default ().iteration (true);
    scene.finish ();
}

async void add (Scene scene) throws Error {
    var sum = yield scene.client.call_variant_async ("Add", new Variant ("(ii)", 1, 2), -1, null);
    assert_true (sum.equal (new Variant.int32 (3)));

    var body = new Usock.Message.from_text ("text");
    var reply = yield scene.client.call_async ("Echo", body, 5000, null);
    assert_cmpstr (reply.dup_text (), CompareOperator.EQ, "text");
    assert_true (reply.get_kind () == Usock.BodyKind.TEXT);

    try {
        yield scene.client.call_async ("Other", null, -1, null);
        assert_not_reached ();
    } catch (IOError.NOT_SUPPORTED error) {
    }
}

void test_calls () throws Error {
    var scene = new Scene ();
    var done = false;

    scene.server.handle ("Add", (peer, call) => {
        int a, b;
        call.get_variant ().get ("(ii)", out a, out b);
        try {
            call.reply_variant (new Variant.int32 (a + b));
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    scene.server.call.connect ((call) => {
        try {
            if (call.get_name () == "Echo")
                call.reply (call.get_body ());
            else
                call.reply_error (new IOError.NOT_SUPPORTED ("nothing of that kind"));
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    add.begin (scene, (source, result) => {
        try {
            add.end (result);
        } catch (Error error) {
            assert_not_reached ();
        }
        done = true;
    });
    run (scene, () => done);
}

void test_posts () throws Error {
    var scene = new Scene ();
    var told = "";

    scene.server.posted.connect ((name, body) => {
        try {
            told += "%s:%s ".printf (name, body.dup_text ());
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    scene.client.post ("Log", new Usock.Message.from_text ("hello"));
    scene.client.post ("Log", null);
    run (scene, () => told == "Log:hello Log: ");
}

int main (string[] args) {
    Test.init (ref args);
    Test.add_data_func ("/vala/peer/calls", () => {
        try {
            test_calls ();
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    Test.add_data_func ("/vala/peer/posts", () => {
        try {
            test_posts ();
        } catch (Error error) {
            assert_not_reached ();
        }
    });
    return Test.run ();
}
