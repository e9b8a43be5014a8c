// Package certcrypto names kinds of keys; none is ever made.
package certcrypto

// KeyType is a kind of key.
type KeyType string

// The kinds that a configuration may name.
const (
	EC256   KeyType = "EC256"
	EC384   KeyType = "EC384"
	RSA2048 KeyType = "RSA2048"
	RSA4096 KeyType = "RSA4096"
	RSA8192 KeyType = "RSA8192"
)
