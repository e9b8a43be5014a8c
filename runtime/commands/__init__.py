"""The verbs of `sealift-node` that are about a running node, one file each; heavy modules are loaded inside them."""
