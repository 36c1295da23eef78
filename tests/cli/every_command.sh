#!/bin/sh
# What holds for every command: help, man page, no argument, an unknown option. Usage: … WILLIS
set -eu
willis=$1
bad=0
fail() {
  echo "$*"
  bad=1
}
code_of() {
  code=0
  "$@" >/dev/null 2>&1 || code=$?
  echo "$code"
}
commands=$("$willis" --print-commands)
[ -n "$commands" ] || fail "there are no commands"
bash_words=$("$willis" --print-completion bash)
zsh_words=$("$willis" --print-completion zsh)
for command in $commands; do
  help=$("$willis" "$command" -h) || fail "$command -h fails"
  [ "$help" = "$("$willis" help "$command")" ] || fail "help $command is not $command -h"
  [ "$help" = "$("$willis" "$command" --help)" ] || fail "$command --help is not $command -h"
  echo "$help" | head -n 1 | grep -q "^Usage: willis $command " || fail "$command -h: usage line"
  echo "$help" | awk 'length > 100 { exit 1 }' || fail "$command -h: a line over 100 columns"
  [ "$(code_of "$willis" "$command" --no-such-option)" = 2 ] || fail "$command: unknown option"
  [ "$(code_of "$willis" "$command" -o)" = 2 ] || fail "$command: -o without a value"
  [ "$(code_of "$willis" "$command" --threads=many)" = 2 ] || fail "$command: --threads=many"
  page=$("$willis" --print-man "$command") || fail "$command has no man page"
  for option in $(echo "$help" | sed -n 's/^ .*\(--[a-z0-9-]*\).*/\1/p' | sort -u); do
    echo "$page" | tr -d '\\' | grep -q -e "$option" || fail "man page of $command: $option"
    for words in "$bash_words" "$zsh_words"; do
      echo "$words" | grep -q -e "$option" || fail "completion of $command: $option"
    done
  done
done
[ "$(code_of "$willis")" = 2 ] || fail "no command at all"
[ "$(code_of "$willis" --help)" = 0 ] || fail "--help"
[ "$(code_of "$willis" help no-such-command)" = 2 ] || fail "help no-such-command"
echo "$bash_words" | bash -n || fail "bash completion does not parse"
exit $bad
