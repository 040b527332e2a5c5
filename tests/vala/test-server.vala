// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// A server in Vala: who may in, the list, what is sent to all, and the end.

class Scene {
    public string directory;
    public string path;
    public Usock.Server server;
    public StringBuilder told = new StringBuilder ();

    public Scene () throws Error {
        directory = DirUtils.make_tmp ("usock-XXXXXX");
        path = Path.build_filename (directory, "socket");
        server = new Usock.Server (SocketType.SEQPACKET);
        server.connection.connect ((channel) => told.append ("connection "));
        server.drop.connect ((credentials, address, reason) => {
            assert_nonnull (credentials);
            told.append ("drop ");
        });
        server.listen_on_path (path, 0);
    }

    public Usock.Seqpacket client () throws Error {
        var client = new Usock.Seqpacket ();
        client.connect_to_path (path);
        return client;
    }

    public void wait_for (string expected) {
        while (told.str != expected)
            MainContext.default ().iteration (true);
    }

    public void finish () {
        assert_cmpint (DirUtils.remove (directory), CompareOperator.EQ, 0);
    }
}

void test_authorize () throws Error {
    var scene = new Scene ();
    var n_asked = 0;
    scene.server.authorize.connect ((channel) => {
        try {
            assert_cmpint ((int) channel.get_peer_credentials ().get_unix_user (),
                           CompareOperator.EQ, (int) Posix.getuid ());
        } catch (Error error) {
            return Usock.Verdict.REFUSE;
        }
        return ++n_asked == 1 ? Usock.Verdict.ALLOW : Usock.Verdict.REFUSE;
    });
    var first = scene.client ();
    var second = scene.client ();
    scene.wait_for ("connection drop ");
    first.close ();
    second.close ();
    scene.server.close ();
    Usock.run_until_closed (null);
    scene.finish ();
}

void test_list () throws Error {
    var scene = new Scene ();
    scene.server.allowed_users = Usock.AllowedUsers.SAME_USER;
    scene.server.slow_readers = Usock.SlowReaders.SKIP;
    var received = 0;
    for (var i = 0; i < 3; i++)
        scene.client ().data.connect ((bytes) => received++);
    scene.wait_for ("connection connection connection ");
    assert_cmpuint (scene.server.get_n_items (), CompareOperator.EQ, 3);
    var last = scene.server.get_item (2) as Usock.Channel;
    assert_nonnull (last);

    assert_cmpuint (scene.server.broadcast (new Usock.Message.from_text ("so long")),
                    CompareOperator.EQ, 3);
    var n_cut = -1;
    scene.server.close_gracefully_async.begin (10000, null, (source, result) => {
        try {
            n_cut = scene.server.close_gracefully_async.end (result);
        } catch (Error error) {
            Test.message ("%s", error.message);
        }
    });
    Usock.run_until_closed (null);
    assert_cmpint (n_cut, CompareOperator.EQ, 0);
    assert_cmpint (received, CompareOperator.EQ, 3);
    assert_cmpuint (scene.server.get_n_items (), CompareOperator.EQ, 0);
    scene.finish ();
}

delegate void Body () throws Error;

void add (string name, owned Body body) {
    Test.add_data_func ("/usock/vala/server/" + name, () => {
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
    add ("authorize", test_authorize);
    add ("list", test_list);
    return Test.run ();
}
