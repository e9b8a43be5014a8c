"""`sealift-node reset`: a machine as it was before its first start; only by process id and by paths of our own."""
