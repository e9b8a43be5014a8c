"""Recipe -> lock -> plan -> fetch -> build -> assemble -> seal: the release engineer's half of Sealift."""
