// Package dns01 has the words of proofs in DNS.
package dns01

import (
	"strings"
	"time"
)

// Option changes how it would be done.
type Option struct{}

// Options are those of a client.
type Options struct{ RecursiveNameservers []string }

// Client asks nobody.
type Client struct{}

// NewClient makes one.
func NewClient(*Options) *Client { return &Client{} }

// SetDefaultClient does nothing.
func SetDefaultClient(*Client) {}

// CondOptions changes nothing.
func CondOptions(bool, ...Option) Option { return Option{} }

// DisableAuthoritativeNssPropagationRequirement changes nothing.
func DisableAuthoritativeNssPropagationRequirement() Option { return Option{} }

// DisableRecursiveNSsPropagationRequirement changes nothing.
func DisableRecursiveNSsPropagationRequirement() Option { return Option{} }

// PropagationWait changes nothing.
func PropagationWait(time.Duration, bool) Option { return Option{} }

// UnFqdn takes the dot from the end of a name; traefik compares names of certificates by it.
func UnFqdn(name string) string { return strings.TrimSuffix(name, ".") }
