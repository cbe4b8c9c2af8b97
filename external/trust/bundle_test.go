// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// rootsIn are places with nothing but one file.
func rootsIn(file string) places {
	return places{env: func(string) string { return "" }, files: []string{file}}
}

func TestBundle(t *testing.T) {
	t.Parallel()
	root, other, proxy := ca(t, "root", nil), ca(t, "other", nil), ca(t, "proxy", nil)
	system := rootsIn(write(t, "roots.pem", "# a comment\n"+root.pem()+other.pem()+root.pem()))
	// As mitmproxy-ca.pem is: the key first.
	given := write(t, "given.pem", proxy.keyPEM(t)+proxy.pem()+"secret remark\n"+other.pem())
	dir := t.TempDir()
	for range 2 { // the second replaces the first
		path, err := system.bundle(dir, []string{given}, now)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, "ca-bundle.pem"); path != want {
			t.Errorf("path = %q, want %q", path, want)
		}
		if got, want := subjects(t, path), []string{"proxy", "other", "root"}; !slices.Equal(got, want) {
			t.Errorf("the bundle holds %q, want %q", got, want)
		}
		text, _ := os.ReadFile(path)
		if bytes.Contains(text, []byte("PRIVATE")) || bytes.Contains(text, []byte("remark")) {
			t.Errorf("the bundle holds more than certificates:\n%s", text)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o644 && runtime.GOOS != "windows" {
			t.Errorf("mode = %v, want 0644", got)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
}

func TestBundleRefuses(t *testing.T) {
	t.Parallel()
	good, root := ca(t, "good", nil), ca(t, "root", nil)
	expired := ca(t, "old", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
	early := ca(t, "early", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) })
	leaf := ca(t, "leaf", func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })
	signsNothing := ca(t, "mute", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	cut := good.pem()[:len(good.pem())-40]
	for name, tt := range map[string]struct{ text, want string }{
		"empty":           {"", "no certificate in PEM form"},
		"text":            {"hello\n", "no certificate in PEM form"},
		"DER":             {string(good.cert.Raw), "openssl x509 -inform der"},
		"PKCS#12":         {"\x30\x82\x01", "openssl pkcs12 -nokeys"},
		"only a key":      {good.keyPEM(t), "a private key and no certificate"},
		"a server's":      {leaf.pem(), `"CN=leaf" is not a CA certificate`},
		"one of them":     {good.pem() + leaf.pem(), `"CN=leaf" is not a CA certificate`},
		"key usage":       {signsNothing.pem(), "must not sign"},
		"expired":         {expired.pem(), `"CN=old" expired on`},
		"not yet valid":   {early.pem(), `"CN=early" is not valid before`},
		"cut off":         {good.pem() + cut, "damaged or cut off"},
		"damaged":         {good.pem() + strings.Replace(cut, "M", "?", 1) + good.pem(), "damaged or cut off"},
		"not X.509":       {good.pem() + "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n", "certificate 2"},
		"far too much":    {strings.Repeat("x", maxFile+1), "has more than 8 MiB"},
		"a public key":    {"-----BEGIN PUBLIC KEY-----\naGVsbG8=\n-----END PUBLIC KEY-----\n", "no certificate in PEM form"},
		"OpenSSL's trust": {strings.ReplaceAll(good.pem(), " CERT", " TRUSTED CERT"), "no certificate in PEM form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, dir := write(t, "given.pem", tt.text), t.TempDir()
			_, err := rootsIn(write(t, "roots.pem", root.pem())).bundle(dir, []string{file}, now)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("error = %v, want %q and the file in it", err, tt.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left in the directory: %v", left)
			}
		})
	}
}

// An old certificate next to the new one does no harm.
func TestBundleLeavesOutTheExpired(t *testing.T) {
	t.Parallel()
	expired := ca(t, "old", func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
	file := write(t, "given.pem", expired.pem()+ca(t, "new", nil).pem())
	path, err := rootsIn(write(t, "roots.pem", ca(t, "root", nil).pem())).bundle(t.TempDir(), []string{file}, now)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := subjects(t, path), []string{"new", "root"}; !slices.Equal(got, want) {
		t.Errorf("the bundle holds %q, want %q", got, want)
	}
}

func TestBundleRefusesFilesAndDirectories(t *testing.T) {
	t.Parallel()
	system := rootsIn(write(t, "roots.pem", ca(t, "root", nil).pem()))
	if _, err := system.bundle(t.TempDir(), []string{filepath.Join(t.TempDir(), "none.pem")}, now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := system.bundle(t.TempDir(), []string{t.TempDir()}, now); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory as file: %v", err)
	}
	if _, err := system.bundle(filepath.Join(t.TempDir(), "none"), nil, now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	if _, err := system.bundle(write(t, "file", ""), nil, now); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("file as directory: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	shared := t.TempDir()
	if err := os.Chmod(shared, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if _, err := system.bundle(shared, nil, now); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("directory that others write to: %v", err)
	}
	theirs := "/"
	if os.Geteuid() == 0 {
		theirs = t.TempDir()
		if err := os.Chown(theirs, 12345, -1); err != nil {
			t.Skip(err)
		}
	}
	if _, err := system.bundle(theirs, nil, now); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("somebody else's directory: %v", err)
	}
}

// What is there under the name of the file, a link to elsewhere say, is replaced and not written through.
func TestBundleReplacesALink(t *testing.T) {
	t.Parallel()
	victim, dir := write(t, "victim", "keep"), t.TempDir()
	if err := os.Symlink(victim, filepath.Join(dir, bundleName)); err != nil {
		t.Skip(err)
	}
	if _, err := rootsIn(write(t, "roots.pem", ca(t, "root", nil).pem())).bundle(dir, nil, now); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(victim); string(text) != "keep" {
		t.Errorf("the link's target now holds %q", text)
	}
}

func TestFindCA(t *testing.T) {
	t.Parallel()
	proxy := ca(t, "mitmproxy", nil)
	want := write(t, "mitmproxy-ca-cert.pem", proxy.pem())
	if got, err := FindCA(filepath.Dir(want)); err != nil || got != want {
		t.Errorf("FindCA = %q, %v, want %q", got, err, want)
	}
	if _, err := FindCA(t.TempDir()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "start mitmdump once") {
		t.Errorf("without a file: %v", err)
	}
	bad := write(t, "mitmproxy-ca-cert.pem", "damaged")
	if _, err := FindCA(filepath.Dir(bad)); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("with a damaged file: %v", err)
	}
}

func TestFindCAOfTheUser(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	want := filepath.Join(home, ".mitmproxy", "mitmproxy-ca-cert.pem")
	if err := errors.Join(os.Mkdir(filepath.Dir(want), 0o700), os.WriteFile(want, []byte(ca(t, "mitmproxy", nil).pem()), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := FindCA(""); err != nil || got != want {
		t.Errorf("FindCA = %q, %v, want %q", got, err, want)
	}
}
