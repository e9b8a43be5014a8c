"""etcd on a server: asking it, its members, its snapshots, and a database made ready for a new cluster."""
