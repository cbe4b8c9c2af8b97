// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// mitmdumpCAKey is the file with the authority's key and certificate, as mitmproxy
// names it.
const mitmdumpCAKey = "mitmproxy-ca.pem"

// caLife is how long a new authority is good for.
const caLife = 3 * 365 * 24 * time.Hour

// keepCA puts the authority of Policy.CADir among the files of a start. CADir itself
// is never mitmproxy's own directory of configuration: what a user has in one could
// take from the policy.
func (r *rendering) keepCA(files map[string]string) {
	if r.policy.CADir == "" {
		return
	}
	path := filepath.Join(r.policy.CADir, mitmdumpCAKey)
	both, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		both, err = newCA(path)
	}
	if err != nil {
		r.problems = append(r.problems, fmt.Errorf("external: preset %s: certificate authority: %w", r.preset, err))
		return
	}
	certificate, err := checkCA(path, both)
	if err != nil {
		r.problems = append(r.problems, fmt.Errorf("external: preset %s: certificate authority: %w", r.preset, err))
		return
	}
	files[mitmdumpCAKey], files[mitmdumpCA] = string(both), string(certificate)
}

// checkCA returns the certificate of the authority, in PEM.
func checkCA(path string, both []byte) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 && filepath.Separator == '/' {
		return nil, fmt.Errorf("%s can be read by others; chmod 600 it, or remove it to have a new one made", path)
	}
	var certificate *x509.Certificate
	for rest := both; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" && certificate == nil {
			if certificate, err = x509.ParseCertificate(block.Bytes); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	switch {
	case certificate == nil || !certificate.IsCA:
		return nil, fmt.Errorf("%s has no certificate of an authority in it; remove it to have a new one made", path)
	case time.Now().After(certificate.NotAfter):
		return nil, fmt.Errorf("%s is over since %s; remove it to have a new one made", path, certificate.NotAfter.Format(time.DateOnly))
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), nil
}

// newCA makes an authority and writes it to path, for this user alone.
func newCA(path string) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048) // what every client of mitmproxy knows
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "mitmproxy for Sallyport", Organization: []string{"mitmproxy"}},
		NotBefore:             now.Add(-48 * time.Hour), // clocks differ
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})...)
	return both, writeOnce(path, both)
}

// writeOnce writes a new file and never over another one.
func writeOnce(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
