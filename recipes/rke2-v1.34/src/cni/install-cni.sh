#!/bin/sh
# Copies the CNI plugins of this image to the node: install-cni.sh [FOLDER]
# A plugin may be running while it is replaced: each is written beside its name first.
set -eu
target=${1:-/host/opt/cni/bin}
mkdir -p "$target"
for plugin in /opt/cni/bin/*; do
  name=${plugin##*/}
  cp -f "$plugin" "$target/.$name.new"
  chmod 0755 "$target/.$name.new"
  mv -f "$target/.$name.new" "$target/$name"
done
echo "installed the CNI plugins in $target"
