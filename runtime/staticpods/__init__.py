"""Static pods: what each one is (one module per pod), how it becomes a manifest, and how that gets its name."""
