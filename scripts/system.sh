#!/bin/sh
# system.sh FILE... : checks that the Debian packages listed in the files are there; names all that are missing at
# once, or installs them when SETUP=1. A line of a list is `PACKAGE  TEST`, where TEST is a command to look for, or a
# file, or a shell expression in brackets; `#` begins a comment.
set -eu
missing=""
for list in "$@"; do
  while read -r package test; do
    case "$package" in '' | '#'*) continue ;; esac
    case "$test" in
      '['*) eval "$test" >/dev/null 2>&1 && continue ;;
      /*) [ -e "$test" ] && continue ;;
      *) command -v "$test" >/dev/null 2>&1 && continue ;;
    esac
    missing="$missing $package"
  done <"$list"
done
[ -n "$missing" ] || exit 0
if [ "${SETUP:-}" = 1 ]; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root=sudo
  echo "installing:$missing" >&2
  $as_root apt-get update -qq >&2
  # shellcheck disable=SC2086 # a list of words on purpose
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
  exit 0
fi
cat >&2 <<EOF
error: this machine lacks:$missing
  do: apt-get install$missing
  or: run the same make command with SETUP=1, which installs them
EOF
exit 1
