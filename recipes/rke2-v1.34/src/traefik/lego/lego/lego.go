// Package lego has the client, which cannot be made.
package lego

import (
	"crypto"
	"crypto/x509"
	"net/http"
	"time"

	"github.com/go-acme/lego/v5/acme"
	"github.com/go-acme/lego/v5/certificate"
	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/registration"
)

// DirectoryURLLetsEncrypt is the server that traefik names by default.
const DirectoryURLLetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// User is who would ask.
type User interface {
	GetEmail() string
	GetRegistration() *acme.ExtendedAccount
	GetPrivateKey() crypto.Signer
}

// CertificateConfig is about certificates.
type CertificateConfig struct{ Timeout time.Duration }

// Config is a client's.
type Config struct {
	CADirURL    string
	UserAgent   string
	Certificate CertificateConfig
	HTTPClient  *http.Client
}

// Client asks nobody.
type Client struct {
	Certificate  *certificate.Certifier
	Challenge    *challenge.Manager
	Registration *registration.Registrar
}

// NewConfig is one for nothing.
func NewConfig(User) *Config { return &Config{} }

// NewClient fails.
func NewClient(*Config) (*Client, error) { return nil, acme.ErrLeftOut }

// CreateCertPool fails.
func CreateCertPool([]string, bool) (*x509.CertPool, error) { return nil, acme.ErrLeftOut }
