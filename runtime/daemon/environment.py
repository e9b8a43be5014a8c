"""Variables with which the bundle's own kubectl, crictl and ctr find this node."""

import os

from bundles.errors import MissingError
from runtime.daemon.ctr import NAMESPACE
from runtime.layout import NodeLayout
from runtime.nodepaths import NodePaths


def variables(layout: NodeLayout) -> dict[str, str]:
    """Name -> value, all absolute; PATH is the folder of programs alone. Raises MissingError before an extraction."""
    if not layout.bin_link.is_symlink():
        raise MissingError("no programs here", where=layout.bin_link, hint="sealift-node extract, or server")
    paths = NodePaths(data=layout.data)
    return {
        "PATH": os.path.join(layout.data, os.readlink(layout.bin_link)),
        "KUBECONFIG": str(paths.admin_kubeconfig),
        "CRI_CONFIG_FILE": str(paths.crictl_config),
        "CONTAINERD_ADDRESS": str(paths.socket),
        "CONTAINERD_NAMESPACE": NAMESPACE,
    }
