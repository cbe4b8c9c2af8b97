// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// places says where roots are looked for.
type places struct {
	env   func(string) string
	files []string // the first that holds a certificate counts
	dirs  []string // in turn, if none of files does
}

// theSystem is where this system keeps its roots.
func theSystem() places {
	p := places{env: os.Getenv}
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return p // in a store that no file shows
	}
	p.files = []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Arch, Alpine, Gentoo
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL, where the former is gone
		"/var/lib/ca-certificates/ca-bundle.pem",            // SUSE
		"/etc/ssl/ca-bundle.pem",                            // SUSE, a link to the former
		"/etc/ca-certificates/extracted/tls-ca-bundle.pem",  // Arch, where the first is gone
		"/etc/ssl/cert.pem",                                 // Alpine, the BSDs
		"/usr/local/share/certs/ca-root-nss.crt",            // FreeBSD's package
	}
	p.dirs = []string{"/etc/ssl/certs", "/etc/pki/tls/certs"}
	return p
}

// roots returns the system's root certificates. SSL_CERT_FILE and SSL_CERT_DIR
// stand for the usual places if at least one of them is set: whoever set them
// wants nothing else trusted.
func (p places) roots() ([]*x509.Certificate, error) {
	file, dirs := p.env("SSL_CERT_FILE"), p.env("SSL_CERT_DIR")
	if file != "" || dirs != "" {
		return chosenRoots(file, filepath.SplitList(dirs))
	}
	for _, f := range p.files {
		// One that is missing or cannot be read is like one that is empty.
		if certs, err := readRoots(f); err == nil {
			return certs, nil
		}
	}
	for _, d := range p.dirs {
		if certs, err := readRootDir(d); err == nil {
			return certs, nil
		}
	}
	if len(p.files) == 0 {
		return nil, fmt.Errorf("trust: %s keeps its root certificates where no file shows them; export them as PEM and set SSL_CERT_FILE to that file", runtime.GOOS)
	}
	return nil, errors.New("trust: the system's root certificates are in none of the usual places; install ca-certificates, or set SSL_CERT_FILE to a PEM file of them")
}

// chosenRoots reads what the environment names. An error in it is one: passing
// over a file that is misspelt would widen or narrow trust in silence.
func chosenRoots(file string, dirs []string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	if file != "" {
		certs, err := readRoots(file)
		if err != nil {
			return nil, fmt.Errorf("%w; correct SSL_CERT_FILE or unset it", err)
		}
		all = certs
	}
	for _, d := range dirs {
		if d == "" {
			continue
		}
		certs, err := readRootDir(d)
		if err != nil && (file == "" || !errors.Is(err, errNoRoots)) {
			return nil, fmt.Errorf("%w; correct SSL_CERT_DIR or unset it", err)
		}
		all = append(all, certs...)
	}
	if len(all) == 0 {
		return nil, errors.New("trust: SSL_CERT_DIR names no directory; correct it or unset it")
	}
	return all, nil
}

// errNoRoots is wrapped by the errors of what can be read and holds no certificate.
var errNoRoots = errors.New("no certificate in PEM form in it")

// readRoots reads a file of roots, of which programs ignore what they cannot read.
func readRoots(file string) ([]*x509.Certificate, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, err
	}
	if b := parse(text); len(b.certs) > 0 {
		return b.certs, nil
	}
	return nil, fmt.Errorf("trust: %s: %w", file, errNoRoots)
}

// readRootDir reads every file of a directory such as OpenSSL's, where the same
// certificate has several names.
func readRootDir(dir string) ([]*x509.Certificate, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("trust: CA certificates: %w", err)
	}
	var all []*x509.Certificate
	for _, e := range entries {
		// What is no certificate, is dangling, or may not be read is as if it were not there.
		if certs, err := readRoots(filepath.Join(dir, e.Name())); err == nil {
			all = append(all, certs...)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("trust: %s: %w", dir, errNoRoots)
	}
	return all, nil
}
