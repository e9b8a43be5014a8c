//go:build tools

// Package tools pins crane, which the bench measures mirroring against.
package tools

import _ "github.com/google/go-containerregistry/cmd/crane"
