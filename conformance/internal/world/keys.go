// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// keys are the upstream's certificates.
type keys struct {
	certificates map[Certificate]*tls.Certificate
}

// newKeys makes them, and ca.pem in dir with the authority that a client is told of. Nobody else in the world trusts
// it, and nobody at all the other one.
func newKeys(dir string) (*keys, error) {
	known, err := newAuthority("corporate authority")
	if err != nil {
		return nil, err
	}
	unknown, err := newAuthority("nobody's authority")
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: known.cert.Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), text, 0o644); err != nil {
		return nil, fmt.Errorf("conformance: the upstream's authority: %w", err)
	}
	k := &keys{certificates: map[Certificate]*tls.Certificate{}}
	tomorrow, yesterday := time.Now().Add(24*time.Hour), time.Now().Add(-24*time.Hour)
	for kind, how := range map[Certificate]struct {
		by    authority
		name  string
		until time.Time
	}{
		Good:             {known, UpstreamName, tomorrow},
		WrongName:        {known, "other.corp.example.com", tomorrow},
		UnknownAuthority: {unknown, UpstreamName, tomorrow},
		Expired:          {known, UpstreamName, yesterday},
	} {
		if k.certificates[kind], err = how.by.sign(how.name, how.until); err != nil {
			return nil, err
		}
	}
	return k, nil
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// template is what all the certificates have in common.
func template(name string, until time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until,
		BasicConstraintsValid: true,
	}, err
}

func newAuthority(name string) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, fmt.Errorf("conformance: a key: %w", err)
	}
	t, err := template(name, time.Now().Add(48*time.Hour))
	if err != nil {
		return authority{}, fmt.Errorf("conformance: a certificate: %w", err)
	}
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return authority{}, fmt.Errorf("conformance: a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return authority{cert, key}, err
}

func (a authority) sign(name string, until time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("conformance: a key: %w", err)
	}
	t, err := template(name, until)
	if err != nil {
		return nil, fmt.Errorf("conformance: a certificate: %w", err)
	}
	t.DNSNames, t.KeyUsage = []string{name}, x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("conformance: a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
