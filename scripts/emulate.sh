#!/bin/sh
# emulate.sh BIN RECIPE FOREIGN_RECIPE OUT: builds both recipes and holds the programs of the second, in qemu-user, against
# those of the first.
set -eu
bin=$1 recipe=$2 foreign=$3 out=$4
[ "$(uname -m)" = x86_64 ] || { echo "emulate: this machine is $(uname -m), want x86_64: arm64 is what is emulated" >&2; exit 1; }
native=$("$bin/sealift" build "$recipe" --output "$out/bundles")
other=$("$bin/sealift" build "$foreign" --output "$out/bundles")
exec "$bin/python" -m tests.emulate "$native" "$other"
