/* SPDX-FileCopyrightText: 2026 The usock developers
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/* Options, constants and addresses as Vala has them. */

void test_options () {
    Usock.Seqpacket first, second;
    try {
        Usock.Seqpacket.new_pair (out first, out second);
        first.set_option (Usock.Level.SOCKET, Usock.SocketOption.RCVLOWAT, new Variant.int32 (9));
        var value = first.get_option (Usock.Level.SOCKET, Usock.SocketOption.RCVLOWAT);
        assert (value.get_int32 () == 9);
        first.set_option (Usock.Level.SOCKET, Usock.SocketOption.DETACH_FILTER, null);
    } catch (Error error) {
        /* There is no filter to remove. */
        assert (error is IOError.NOT_FOUND);
    }
    try {
        first.set_option (Usock.Level.SOCKET, Usock.SocketOption.TYPE, new Variant.int32 (1));
        assert_not_reached ();
    } catch (Error error) {
        assert (error is IOError.READ_ONLY);
    }
    assert (Usock.Socket.get_option_format (Usock.Level.TCP, Usock.TcpOption.NODELAY) == "b");
    first.close ();
    second.close ();
    Usock.run_until_closed (null);
}

void test_address () {
    try {
        var address = new Usock.PacketAddress.for_interface ("lo", Usock.EtherType.ALL);
        assert (Usock.address_to_string (address) == "[%lo]:0x0003");
        assert (address.dup_interface_name () == "lo");
        assert (Usock.address_parse ("[ff%lo]:0x0800") is Usock.PacketAddress);
    } catch (Error error) {
        assert_not_reached ();
    }
}

int main (string[] args) {
    Test.init (ref args);
    Test.add_func ("/usock/vala/options", test_options);
    Test.add_func ("/usock/vala/packet-address", test_address);
    return Test.run ();
}
