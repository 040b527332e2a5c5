// SPDX-FileCopyrightText: 2026 The usock developers
// SPDX-License-Identifier: LGPL-2.1-or-later

// Immediate calls as a Vala program meets them.

void test_messages () {
    Usock.Handle first, second;

    try {
        Usock.Handle.new_pair (Usock.SockType.SEQPACKET, out first, out second);
        assert (first.send ({ 1, 2, 3 }, Usock.MsgFlags.NONE, -1) == 3);
        assert (second.receive (10, Usock.MsgFlags.NONE, 1000).get_size () == 3);

        var message = new Usock.Message ("hello".data);
        message.append_bytes (new Bytes ({ 33 }));
        assert (first.sendmsg (message, null, Usock.MsgFlags.NONE, -1) == 6);

        var buffer = new uint8[16];
        size_t n;
        var rest = second.recvmsg_into (buffer, Usock.MsgFlags.NONE, -1, out n);
        assert (n == 6 && buffer[0] == 'h' && buffer[5] == '!');
        assert (rest.get_full_length () == 6);
        assert (rest.lookup_control (1, 35).get_type_string () == "(xx)");

        first.send ("0123456789".data, Usock.MsgFlags.NONE, -1);
        var parts = second.recvmsg_segments ({ 1, 4 }, Usock.MsgFlags.NONE, -1);
        assert (parts.get_n_segments () == 2 && parts.get_segment (1).get_size () == 4);
        assert (parts.get_flags () == Usock.MessageFlags.TRUNCATED);

        first.close ();
        assert (second.receive (10, Usock.MsgFlags.NONE, -1) == null);
    } catch (Error error) {
        assert_not_reached ();
    }
}

void test_errors () {
    try {
        var handle = new Usock.Handle.socket (Usock.Family.UNIX, Usock.SockType.STREAM, 0);
        handle.bind_to_address (null);
        handle.listen (0);
        GLib.SocketAddress address;
        handle.accept (0, out address);
        assert_not_reached ();
    } catch (Error error) {
        assert (error is IOError.WOULD_BLOCK);
    }
}

void test_poll () {
    Usock.Handle first, second;

    try {
        Usock.Handle.new_pair (Usock.SockType.STREAM, out first, out second);
        first.send ({ 1 }, Usock.MsgFlags.NONE, -1);
        uint[] ready = Usock.poll ({ first, second }, { Usock.PollFlags.IN, Usock.PollFlags.IN }, -1, null);
        assert (ready.length == 2 && ready[0] == 0 && ready[1] == Usock.PollFlags.IN);
    } catch (Error error) {
        assert_not_reached ();
    }
}

int main (string[] args) {
    Test.init (ref args);
    Test.add_func ("/usock/vala/handle/messages", test_messages);
    Test.add_func ("/usock/vala/handle/errors", test_errors);
    Test.add_func ("/usock/vala/handle/poll", test_poll);
    return Test.run ();
}
