// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxFile is the most that is read of one file, in bytes. The bundle of a whole
// system has about 250 KB.
const maxFile = 8 << 20

const certificateBlock = "CERTIFICATE"

// blocks are the contents of a PEM text as far as trust is concerned.
type blocks struct {
	certs []*x509.Certificate // in the order of the text
	keys  int                 // private keys seen, and left alone
	bad   error               // what the first certificate that cannot be read suffers from
}

// parse reads the certificates of a PEM text. Everything else in it is passed over.
func parse(text []byte) blocks {
	var b blocks
	// The decoder passes over a broken block in silence. Counting tells.
	left := bytes.Count(text, []byte("-----BEGIN "+certificateBlock+"-----"))
	for n := 1; ; {
		var block *pem.Block
		block, text = pem.Decode(text)
		switch {
		case block == nil:
			if left > 0 && b.bad == nil {
				b.bad = errors.New("a certificate in it is damaged or cut off")
			}
			return b
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			b.keys++
		case block.Type == certificateBlock:
			left--
			c, err := x509.ParseCertificate(block.Bytes)
			if err == nil {
				b.certs = append(b.certs, c)
			} else if b.bad == nil {
				b.bad = fmt.Errorf("certificate %d: %w", n, err)
			}
			n++
		}
	}
}

// encode writes certificates as PEM, without the comments and headers they came with.
func encode(certs []*x509.Certificate) []byte {
	var out bytes.Buffer
	for _, c := range certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw}))
	}
	return out.Bytes()
}

// unique leaves out every certificate that was there before.
func unique(certs []*x509.Certificate) []*x509.Certificate {
	seen := make(map[string]bool, len(certs))
	var out []*x509.Certificate
	for _, c := range certs {
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			out = append(out, c)
		}
	}
	return out
}

// readAuthorities reads a file that is to hold CA certificates, given by somebody
// who wants them trusted. One that has expired is left out as long as another has
// not: it would do nothing. Anything else that is wrong is an error, because a
// program would only say much later that it trusts nobody.
func readAuthorities(file string, now time.Time) ([]*x509.Certificate, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	b := parse(text)
	switch {
	case b.bad != nil:
		return nil, fmt.Errorf("trust: %s: %w; export the CA certificate again", file, b.bad)
	case len(b.certs) == 0 && b.keys > 0:
		return nil, fmt.Errorf("trust: %s holds a private key and no certificate; give the CA's certificate", file)
	case len(b.certs) == 0:
		return nil, fmt.Errorf("trust: %s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)%s", file, otherForm(text, file))
	}
	var valid []*x509.Certificate
	var stale error
	for _, c := range b.certs {
		if err := authority(c); err != nil {
			return nil, fmt.Errorf("trust: %s: %w", file, err)
		}
		if err := current(c, now); err != nil {
			stale = errors.Join(stale, fmt.Errorf("trust: %s: %w", file, err))
			continue
		}
		valid = append(valid, c)
	}
	if len(valid) == 0 {
		return nil, stale
	}
	return valid, nil
}

// authority says what keeps c from being a CA certificate (RFC 5280, sections
// 4.2.1.3 and 4.2.1.9).
func authority(c *x509.Certificate) error {
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return fmt.Errorf("%q is not a CA certificate; give the certificate of the CA that signs for the proxy, not a server's", subject(c))
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("the key of %q must not sign certificates (its key usage says so); give the certificate of the CA that signs for the proxy", subject(c))
	}
	return nil
}

// current says why c is not valid at that time.
func current(c *x509.Certificate, now time.Time) error {
	const form = "2006-01-02 15:04 MST"
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("the CA certificate %q expired on %s; let the proxy make a new one", subject(c), c.NotAfter.UTC().Format(form))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the CA certificate %q is not valid before %s; is the clock right?", subject(c), c.NotBefore.UTC().Format(form))
	}
	return nil
}

// subject names a certificate for people; the caller quotes it.
func subject(c *x509.Certificate) string {
	if name := c.Subject.String(); name != "" {
		return name
	}
	return "serial " + c.SerialNumber.String()
}

// otherForm tells how to convert what is not PEM.
func otherForm(text []byte, file string) string {
	if _, err := x509.ParseCertificate(text); err == nil {
		return fmt.Sprintf(" but one in DER form; convert it: openssl x509 -inform der -in %q -out ca.pem", file)
	}
	if len(text) > 2 && text[0] == 0x30 { // an ASN.1 sequence
		return fmt.Sprintf("; if it is PKCS#12, convert it: openssl pkcs12 -nokeys -in %q -out ca.pem", file)
	}
	return ""
}

// readFile reads a regular file. Opening anything else might wait for ever.
func readFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("trust: CA certificates: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("trust: %s is not a regular file; give a file of CA certificates in PEM form", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("trust: CA certificates: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("trust: CA certificates: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("trust: %s has more than %d MiB, which no file of CA certificates has", file, maxFile>>20)
	}
	return text, nil
}
