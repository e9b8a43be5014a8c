"""The node's certificates: what must exist (plan), how one is made (certificates), and files that keep it (ensure)."""
