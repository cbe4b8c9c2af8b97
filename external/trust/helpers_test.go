// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// now is when the tests' certificates are made.
var now = time.Now()

// made is a certificate and its key.
type made struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// ca makes a CA certificate; change, if non-nil, alters the template.
func ca(tb testing.TB, name string, change func(*x509.Certificate)) made {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		tb.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if change != nil {
		change(c)
	}
	return sign(tb, c, made{c, key}, key)
}

// server makes a certificate of localhost that m signs.
func (m made) server(tb testing.TB) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	s := sign(tb, &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, m, key)
	return tls.Certificate{Certificate: [][]byte{s.cert.Raw}, PrivateKey: key}
}

func sign(tb testing.TB, template *x509.Certificate, by made, key *ecdsa.PrivateKey) made {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return made{c, key}
}

// pem is the certificate as PEM.
func (m made) pem() string { return string(encode([]*x509.Certificate{m.cert})) }

// keyPEM is the private key as PEM.
func (m made) keyPEM(tb testing.TB) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(m.key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// write puts text into a file of a new directory, which is the user's own.
func write(tb testing.TB, name, text string) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// subjects are the common names in a bundle, in order.
func subjects(tb testing.TB, file string) (names []string) {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	b := parse(text)
	if b.bad != nil {
		tb.Errorf("%s: %v", file, b.bad)
	}
	for _, c := range b.certs {
		names = append(names, c.Subject.CommonName)
	}
	return names
}
