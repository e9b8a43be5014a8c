//go:build tools

// Package tools names the program that is built: go.mod is complete for what it imports.
package tools

import (
	_ "github.com/traefik/traefik/v3/cmd/traefik"
)
