# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later

set -l commands connect listen send receive call serve monitor pass notify wait

complete -c usock -n "not __fish_seen_subcommand_from $commands" -f
complete -c usock -n "not __fish_seen_subcommand_from $commands" -l version -d 'Tell the version'
complete -c usock -s h -l help -d 'Show help options'

complete -c usock -n __fish_use_subcommand -a connect -d 'Connect standard input and output to a socket'
complete -c usock -n __fish_use_subcommand -a listen -d 'Wait for a connection, or run a command for each'
complete -c usock -n __fish_use_subcommand -a send -d 'Send messages'
complete -c usock -n __fish_use_subcommand -a receive -d 'Print the messages of everybody who comes'
complete -c usock -n __fish_use_subcommand -a call -d 'Call a service and print its answer'
complete -c usock -n __fish_use_subcommand -a serve -d 'Answer calls by running a command'
complete -c usock -n __fish_use_subcommand -a monitor -d 'Stand between clients and a server'
complete -c usock -n __fish_use_subcommand -a pass -d 'Send open files'
complete -c usock -n __fish_use_subcommand -a notify -d 'Tell the service manager something'
complete -c usock -n __fish_use_subcommand -a wait -d 'Wait until somebody listens'

function __usock_option
    complete -c usock -n "__fish_seen_subcommand_from $argv[1]" $argv[2..]
end

__usock_option "$commands" -s t -l timeout -x -d 'Give up when nothing has happened for so long'
__usock_option 'connect listen send receive call serve monitor pass wait' -s p -l seqpacket -d 'Packets over a connection'
__usock_option 'connect listen send receive call serve monitor pass wait' -s s -l stream -d 'Bytes over a connection'
__usock_option 'connect send receive monitor pass wait' -s d -l datagram -d 'Messages without a connection'
__usock_option 'connect listen send receive call serve pass wait' -s n -l name -x -d 'The service of this name'
__usock_option 'connect send call monitor pass' -s w -l wait -d 'Wait for the server'
__usock_option 'listen receive serve monitor' -s a -l activated -d 'The socket that the service manager passed'
__usock_option 'listen receive serve monitor' -s m -l mode -x -d 'The mode of the path'
__usock_option 'listen receive serve monitor' -s g -l group -x -a '(__fish_complete_groups)' -d 'The group of the path'
__usock_option 'connect listen send receive' -s f -l framing -x -a 'lines null length raw whole' -d 'How messages stand apart'
__usock_option 'listen receive monitor' -s c -l count -x -d 'End after so many'
__usock_option 'listen' -s M -l max-connections -x -d 'Run the command for so many at once'
__usock_option 'serve' -s M -l max-calls -x -d 'Run the command for so many at once'
__usock_option 'send' -s r -l reply -d 'Wait for an answer to each'
__usock_option 'send notify' -l fd -x -d 'An open descriptor'
__usock_option 'receive' -s F -l fds -x -d 'Let in so many descriptors'
__usock_option 'receive' -s C -l contents -d 'Print what descriptors are open on'
__usock_option 'receive' -s v -l verbose -d 'Show who sent what'
__usock_option 'receive monitor' -s x -l hex -d 'Show bytes in hexadecimal'
__usock_option 'receive monitor' -s j -l json -d 'Show JSON'
__usock_option 'call' -s V -l value -d 'The body is a GVariant'
__usock_option 'call' -l post -d 'Do not ask for an answer'
__usock_option 'pass' -s T -l text -x -d 'What the message says'
__usock_option 'pass' -s W -l write -d 'Open the files for writing as well'
__usock_option 'pass' -l memfd -d 'Pass a sealed copy in memory'
__usock_option 'notify' -s r -l ready -d 'The service has started'
__usock_option 'notify' -l reloading -d 'The service reloads'
__usock_option 'notify' -l stopping -d 'The service stops'
__usock_option 'notify' -s s -l status -x -d 'What the service is doing'
__usock_option 'notify' -l pid -x -d 'The main process of the service'

functions -e __usock_option
