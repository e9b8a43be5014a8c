#!/bin/sh
# doctor.sh SEALIFT RECIPE : what building this recipe needs of the machine; installs it when SETUP=1.
set -eu
[ "${SETUP:-}" = 1 ] || exec "$1" doctor "$2" --quiet
# Its words are for people; here only the list counts, and the last line checks again.
packages=$("$1" doctor "$2" --packages 2>/dev/null) || true
if [ -n "$packages" ]; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root=sudo
  echo "installing:" $packages >&2
  $as_root apt-get update -qq >&2
  # shellcheck disable=SC2086 # a list of words on purpose
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $packages >/dev/null
fi
exec "$1" doctor "$2" --quiet
