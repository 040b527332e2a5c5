# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

# What a program in Perl does first, by Glib::Object::Introspection, where usock has no overrides:
# both ends, descriptors, errors, and nothing left open.

use strict;
use warnings;
use utf8;

use File::Temp;
use Glib;
use Glib::Object::Introspection;
use POSIX ();
use Test::More;

use constant DEADLINE => 20 * ($ENV{USOCK_TEST_SLOW} ? 30 : 1);

Glib::Object::Introspection->setup(basename => 'Gio', version => '2.0', package => 'Glib::IO');
Glib::Object::Introspection->setup(basename => 'Usock', version => '1', package => 'Usock');

# What a handler dies of would only be a warning.
Glib->install_exception_handler(sub { print STDERR "# a handler: $_[0]\n"; POSIX::_exit(1) });

sub wait_for {
    my ($condition, $what) = @_;
    my $last = time + DEADLINE;

    # Of what another thread has closed the loop hears nothing.
    my $tick = Glib::Timeout->add(10, sub { 1 });
    until ($condition->()) {
        die "$what did not happen in time\n" if time > $last;
        Glib::MainContext->default->iteration(1);
    }
    Glib::Source->remove($tick);
}

# Those of GLib, libffi and the reactor come when they are first needed.
sub open_fds {
    my @targets = map { readlink "/proc/self/fd/$_" // 'anon_inode:none' } 0 .. 255;

    return join ', ', map { "$_ $targets[$_]" }
        grep { $targets[$_] !~ m{^anon_inode:|/libffi[^/]*$} } 0 .. 255;
}

# What a channel emitted, in order: the last of whoever is watched is close.
sub watch {
    my ($channel) = @_;
    my $log = [];

    $channel->signal_connect(message => sub {
        my (undef, $message) = @_;
        push @$log, 'message ' . $message->get_bytes->get_data;
    });
    $channel->signal_connect(error => sub {
        my (undef, $error) = @_;
        push @$log, $error->message =~ /: (.*)/;
    });
    for my $signal (qw(end close)) {
        $channel->signal_connect($signal => sub { push @$log, $signal });
    }
    return $log;
}

sub ends_with {
    my ($log, @expected) = @_;

    wait_for(sub { @$log && $log->[-1] eq 'close' }, "close after @$log");
    is_deeply($log, \@expected, "the last is $expected[-2], and close");
}

sub a_socket {
    my ($name, $body) = @_;
    my $directory = File::Temp->newdir;
    my $before = open_fds;

    $body->("$directory/socket");
    wait_for(sub { open_fds eq $before }, "$name: the end of " . open_fds);
    pass($name);
}

a_socket 'a pair is a conversation' => sub {
    my (undef, $first, $second) = Usock::Seqpacket::new_pair();
    my ($log, $other) = (watch($first), watch($second));

    $first->send_bytes(Glib::Bytes->new("a\0b"));
    $first->send([97, 0, 98]);
    $first->send([]);
    $first->send_text('grüße');
    $second->send_text('answer');
    wait_for(sub { @$log == 1 && @$other == 4 }, 'all messages');
    $first->end;
    utf8::encode(my $greetings = 'grüße');
    ends_with($other, "message a\0b", "message a\0b", 'message ', "message $greetings",
        'end', 'close');
    ends_with($log, 'message answer', 'end', 'close');
};

a_socket 'a server answers, and gets a file' => sub {
    my ($path) = @_;
    my $server = Usock::Server->new('seqpacket');
    my ($served, $closed, @contents);

    $server->set(max_fds => 2);
    $server->signal_connect(connection => sub {
        my (undef, $channel) = @_;

        $served = watch($channel);
        $channel->signal_connect(message => sub {
            my (undef, $message) = @_;

            for my $fd (@{$message->take_fds}) {
                open my $file, '<&=', $fd or die $!;
                seek $file, 0, 0;
                push @contents, readline $file;
            }
            $channel->send_text('got ' . $message->dup_text);
        });
    });
    $server->signal_connect(close => sub { $closed = 1 });
    $server->listen_on_path($path, 0);

    my $client = Usock::Seqpacket->new;
    my $log = watch($client);
    $client->connect_to_path($path);
    $client->send_text('nothing');
    wait_for(sub { @$log == 1 }, 'an answer');

    my $file = File::Temp->new;
    print $file 'content';
    $file->flush;
    $client->send_with_fds([unpack 'C*', 'a file'], [fileno $file, fileno $file]);
    close $file;
    wait_for(sub { @$log == 2 }, 'the answer to a file');
    is_deeply(\@contents, ['content', 'content'], 'each descriptor has the content');

    $client->close;
    ends_with($log, 'message got nothing', 'message got a file', 'close');
    ends_with($served, 'message nothing', 'message a file', 'end', 'close');
    $server->close;
    wait_for(sub { $closed }, 'the end of the server');
};

a_socket 'a call has a callback' => sub {
    my (undef, $first, $second) = Usock::Seqpacket::new_pair();
    my @received;

    my $receive;
    $receive = sub {
        $second->receive_async(undef, sub {
            my ($channel, $result) = @_;
            my $message = $channel->receive_finish($result);

            push @received, defined $message ? $message->dup_text : 'the end';
            $receive->() if defined $message;
        });
    };
    $receive->();
    $first->send_text($_) for qw(one two);
    $first->end;
    wait_for(sub { @received == 3 }, 'the end');
    is_deeply(\@received, ['one', 'two', 'the end'], 'undef is the end');
    undef $receive;
};

a_socket 'what fails dies of an error' => sub {
    my ($path) = @_;

    eval { Usock::Seqpacket->new->connect_to_path($path) };
    isa_ok($@, 'Glib::Error');
    ok($@->matches('Glib::IO::IOErrorEnum', 'not-found'), 'it matches');
    is($@->message, "Could not connect to “$path”: No such file or directory", 'its message');

    eval { Usock::Message->new([255])->dup_text };
    is($@->value, 'invalid-data', 'text is UTF-8');

    my (undef, $first, $second) = Usock::Seqpacket::new_pair();
    eval { $first->send_with_fds([120], [0]) };
    # Before Linux 6.16 a sender is not told.
    ok(!$@ || $@->value eq 'permission-denied', 'descriptors are not taken unless they are wanted');

    my $log = watch($first);
    $first->send_text('unread');
    $second->close;
    ends_with($log, 'Connection reset by peer', 'close');
    eval { $first->send_text('too late') };
    is($@->value, 'closed', 'nothing is sent after close');
};

done_testing;
