//go:build tools

// Package tools names the programs that are built.
package tools

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
)
