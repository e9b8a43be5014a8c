// Package acme stands for lego, the ACME client in traefik, and has nothing behind it.
//
// ACME asks a certificate authority, most often through the API of a DNS service in some cloud: lego brings the
// clients of a hundred of them. A site without a way out reaches none. Certificates come as Secrets; a resolver in the
// configuration fails in words.
package acme

import "errors"

// ErrLeftOut is what each request ends with.
var ErrLeftOut = errors.New("ACME is left out of this build: put certificates into Secrets")

// Account is what a server would know of one.
type Account struct{}

// ExtendedAccount is an account and where it lies.
type ExtendedAccount struct {
	Account

	Location string
}
