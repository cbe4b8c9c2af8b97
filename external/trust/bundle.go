// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The names of the files in the directory that the caller gives.
const (
	bundleName = "ca-bundle.pem"
	storeName  = "truststore.p12"
)

// Bundle writes the file ca-bundle.pem to dir and returns its absolute path. It
// holds the certificates of the PEM files extra and the system's roots, each once.
//
// The system's roots are those of SSL_CERT_FILE and SSL_CERT_DIR if the environment
// of this process has them, else those of the distribution's bundle. It is an error
// when there are none, which on macOS and Windows is so without SSL_CERT_FILE.
//
// Every certificate in extra must be that of a CA, and at least one in each file
// must be valid now; the error names the file. Files with a private key beside the
// certificate are read, and the key is not copied. Without extra the bundle holds
// the system's roots.
//
// dir must exist, belong to the user, and be writable by nobody else. The file has
// mode 0644 and replaces an older one at once: no reader sees a part of it. The
// caller removes it.
func Bundle(dir string, extra ...string) (path string, err error) {
	return theSystem().bundle(dir, extra, time.Now())
}

func (p places) bundle(dir string, extra []string, now time.Time) (string, error) {
	var certs []*x509.Certificate
	for _, file := range extra {
		more, err := readAuthorities(file, now)
		if err != nil {
			return "", err
		}
		certs = append(certs, more...)
	}
	roots, err := p.roots()
	if err != nil {
		return "", err
	}
	return writeFile(dir, bundleName, encode(unique(append(certs, roots...))))
}

// FindCA returns the CA certificate of a mitmproxy or mitmdump that somebody else
// has started: mitmproxy-ca-cert.pem in confdir, or, if that is "", in ~/.mitmproxy,
// where mitmproxy puts it when it starts for the first time.
func FindCA(confdir string) (path string, err error) {
	if confdir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("trust: the CA of mitmproxy: %w; name its file", err)
		}
		confdir = filepath.Join(home, ".mitmproxy")
	}
	path, err = filepath.Abs(filepath.Join(confdir, "mitmproxy-ca-cert.pem"))
	if err != nil {
		return "", fmt.Errorf("trust: the CA of mitmproxy: %w", err)
	}
	if _, err = readAuthorities(path, time.Now()); errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w; start mitmdump once, which makes it, or name the file of the proxy's CA certificate", err)
	}
	if err != nil {
		return "", err
	}
	return path, nil
}

// writeFile puts a file into a directory of the user's own, whole or not at all.
func writeFile(dir, name string, data []byte) (path string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("trust: %w", err)
	}
	if err := checkDir(dir); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return "", fmt.Errorf("trust: %w", err)
	}
	path = filepath.Join(dir, name)
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("trust: %s: %w", path, err), os.Remove(f.Name()))
	}
	return path, nil
}

// checkDir refuses a directory where somebody else could exchange the file.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("trust: %w; make the directory first", err)
	case !info.IsDir():
		return fmt.Errorf("trust: %s is not a directory", dir)
	}
	return checkOwner(dir, info)
}
