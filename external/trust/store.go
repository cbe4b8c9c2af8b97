// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/x509"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// TrustStore writes the certificates of the PEM file bundle, as [Bundle] makes it,
// to the file truststore.p12 in dir, in the form that Java reads, and returns its
// absolute path. Directory, mode and replacement are as with [Bundle]; the caller
// removes the file.
//
// It is PKCS#12 (RFC 7292) without password: neither encrypted nor authenticated,
// like a PEM file, and as the JDK's own is since version 18. Java then needs no javax.net.ssl.trustStorePassword and takes
// any; an encrypted one without its password would be an empty store, in silence.
func TrustStore(dir, bundle string) (path string, err error) {
	certs, err := readRoots(bundle)
	if err != nil {
		return "", err
	}
	certs = unique(certs)
	entries := make([]pkcs12.TrustStoreEntry, len(certs))
	for i, c := range certs {
		entries[i] = pkcs12.TrustStoreEntry{Cert: c, FriendlyName: alias(i, c)}
	}
	data, err := pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
	if err != nil {
		return "", fmt.Errorf("trust: trust store of %s: %w", bundle, err)
	}
	return writeFile(dir, storeName, data)
}

// alias names an entry. Java keeps only one of two entries whose names differ in
// case alone, and the subjects of two roots can be the same: hence the number.
func alias(i int, c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" {
		name = subject(c)
	}
	return fmt.Sprintf("%03d %s", i+1, strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_' // of what a BMPString cannot hold, nothing is left
		}
		return r
	}, name))
}
