"""How the cluster and this node are doing, in values: for `status` and for /metrics."""
