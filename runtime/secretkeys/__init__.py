"""The keys that Secrets are encrypted with in etcd: which are in force, and their rotation."""
