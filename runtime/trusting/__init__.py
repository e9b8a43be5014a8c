"""What a node remembers of trust: the policy in force, the highest sequence seen, and every decision it took."""
