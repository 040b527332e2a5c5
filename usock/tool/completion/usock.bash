# SPDX-FileCopyrightText: 2026 The usock developers
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2207

_usock_options ()
{
  local types='--seqpacket --stream --name --help --timeout'
  local server='--activated --mode --group'

  case $1 in
  connect) echo "$types --datagram --wait --framing" ;;
  listen) echo "$types $server --framing --count --max-connections" ;;
  send) echo "$types --datagram --wait --framing --reply --fd" ;;
  receive) echo "$types --datagram $server --framing --count --fds --contents --verbose --hex --json" ;;
  call) echo "$types --wait --value --post" ;;
  serve) echo "$types $server --max-calls" ;;
  monitor) echo "--seqpacket --stream --datagram --help --timeout $server --wait --count --hex --json" ;;
  pass) echo "$types --datagram --wait --text --write --memfd" ;;
  notify) echo "--help --timeout --ready --reloading --stopping --status --pid --fd" ;;
  wait) echo "$types --datagram" ;;
  *) echo "--help --version" ;;
  esac
}

_usock ()
{
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  local commands='connect listen send receive call serve monitor pass notify wait'

  if [ "$before" = = ] && [ "$COMP_CWORD" -gt 1 ]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  elif [ "$current" = = ]; then
    current=
  fi

  case $before in
  --framing | -f) COMPREPLY=($(compgen -W 'lines null length raw whole' -- "$current")) ;;
  --group | -g) COMPREPLY=($(compgen -g -- "$current")) ;;
  --count | --max-connections | --max-calls | --fds | --fd | --mode | --timeout | --text | --status | --pid | --name)
    COMPREPLY=() ;;
  *)
    case $COMP_CWORD,$current in
    *,-*) COMPREPLY=($(compgen -W "$(_usock_options "${COMP_WORDS[1]}")" -- "$current")) ;;
    1,*) COMPREPLY=($(compgen -W "$commands" -- "$current")) ;;
    *) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;
    esac
    ;;
  esac
}

complete -F _usock usock
