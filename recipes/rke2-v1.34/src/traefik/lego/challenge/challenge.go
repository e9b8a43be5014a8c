// Package challenge says what proves a name.
package challenge

import (
	"context"

	"github.com/go-acme/lego/v5/acme"
	"github.com/go-acme/lego/v5/challenge/dns01"
	"github.com/go-acme/lego/v5/challenge/http01"
	"github.com/go-acme/lego/v5/challenge/tlsalpn01"
)

// Provider puts a proof where a server would look.
type Provider interface {
	Present(ctx context.Context, domain, token, keyAuth string) error
	CleanUp(ctx context.Context, domain, token, keyAuth string) error
}

// Manager takes no provider.
type Manager struct{}

// SetDNS01Provider fails.
func (*Manager) SetDNS01Provider(Provider, ...dns01.Option) error { return acme.ErrLeftOut }

// SetHTTP01Provider fails.
func (*Manager) SetHTTP01Provider(Provider, ...http01.Option) error { return acme.ErrLeftOut }

// SetTLSALPN01Provider fails.
func (*Manager) SetTLSALPN01Provider(Provider, ...tlsalpn01.Option) error { return acme.ErrLeftOut }
