//go:build tools

// Package tools pins regsync, which the bench measures mirroring against.
package tools

import _ "github.com/regclient/regclient/cmd/regsync"
