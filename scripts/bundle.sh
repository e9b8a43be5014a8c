#!/bin/sh
# bundle.sh BIN RECIPE OUT : build, verify, stage, extract; then says what to do next.
set -eu
bin=$1 recipe=$2 out=$3
built=$("$bin/sealift" build "$recipe" --output "$out/bundles")
bundle=$(printf '%s\n' "$built" | tail -n 1)
printf '%s\n' "$bundle" >"$out/bundle"
"$bin/sealift" verify "$bundle" --insecure-no-signature
rm -rf "$out/node"  # made for trying out: a node that lives would want a new version for changed content
"$bin/sealift-node" stage "$bundle" --data-dir "$out/node" --insecure-no-signature
"$bin/sealift-node" extract --data-dir "$out/node"
cat <<EOF

The bundle:      $bundle
The staged node: $out/node   (its binaries: $out/node/bin/)

Next:
  $bin/sealift inspect $bundle            what is inside
  $bin/sealift pack $bundle               one file to carry to the site
  $bin/sealift-node stage BUNDLE --data-dir /var/lib/rancher/rke2 --insecure-no-signature      on the site's host
EOF
