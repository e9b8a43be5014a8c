// Package http01 has the words of proofs by HTTP.
package http01

import "time"

// PathPrefix is where a server would ask for one (RFC 8555, section 8.3).
const PathPrefix = "/.well-known/acme-challenge/"

// Option changes how it would be done.
type Option struct{}

// SetDelay changes nothing.
func SetDelay(time.Duration) Option { return Option{} }
