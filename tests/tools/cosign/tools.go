//go:build tools

// Package tools pins both cosigns in one module: they share nearly all they are built from, so the second is cheap.
package tools

import (
	_ "github.com/sigstore/cosign/v2/cmd/cosign"
	_ "github.com/sigstore/cosign/v3/cmd/cosign"
)
