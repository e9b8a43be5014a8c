#!/bin/sh
# write-conf.sh SUBNET_ENV TARGET_FOLDER: writes the node's CNI configuration from flanneld's subnet file.
set -u
trap 'exit 0' TERM INT
source=$1
target=$2/10-flannel.conflist

# The first host of a subnet, as flanneld writes it, -> the subnet.
four() { last=${1%/*}; last=${last##*.}; echo "${1%.*}.$((last - 1))/${1#*/}"; }
six() { echo "${1%1/*}/${1#*/}"; }

configuration() {
  ranges= routes=
  if [ -n "${FLANNEL_SUBNET:-}" ]; then
    ranges="[{\"subnet\":\"$(four "$FLANNEL_SUBNET")\"}]"
    routes="{\"dst\":\"$FLANNEL_NETWORK\"}"
  fi
  if [ -n "${FLANNEL_IPV6_SUBNET:-}" ]; then
    ranges="$ranges${ranges:+,}[{\"subnet\":\"$(six "$FLANNEL_IPV6_SUBNET")\"}]"
    routes="$routes${routes:+,}{\"dst\":\"$FLANNEL_IPV6_NETWORK\"}"
  fi
  bridge="\"type\":\"bridge\",\"bridge\":\"cni0\",\"isGateway\":true,\"isDefaultGateway\":true,\"hairpinMode\":true"
  bridge="$bridge,\"ipMasq\":false,\"mtu\":$FLANNEL_MTU"
  ipam="\"ipam\":{\"type\":\"host-local\",\"ranges\":[$ranges],\"routes\":[$routes]}"
  portmap="{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true}}"
  echo "{\"name\":\"cbr0\",\"cniVersion\":\"1.0.0\",\"plugins\":[{$bridge,$ipam},$portmap]}"
}

while :; do
  wait=0.2
  if [ -s "$source" ]; then
    . "$source"
    wanted=$(configuration)
    if [ "$wanted" != "$(cat "$target" 2>/dev/null)" ]; then
      # Written beside its name, in one step: the runtime reads the folder at any time.
      echo "$wanted" > "$2/.10-flannel.new" && mv "$2/.10-flannel.new" "$target" && echo "wrote $target"
    fi
    wait=10
  fi
  sleep $wait &
  wait $!
done
