// Package tlsalpn01 has the words of proofs by TLS.
package tlsalpn01

import (
	"time"

	"github.com/go-acme/lego/v5/acme"
)

// ACMETLS1Protocol is what a server would name in ALPN (RFC 8737, section 3).
const ACMETLS1Protocol = "acme-tls/1"

// Option changes how it would be done.
type Option struct{}

// SetDelay changes nothing.
func SetDelay(time.Duration) Option { return Option{} }

// ChallengeBlocks fails.
func ChallengeBlocks(string, string) ([]byte, []byte, error) { return nil, nil, acme.ErrLeftOut }
