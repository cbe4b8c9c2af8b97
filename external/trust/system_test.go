// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestRoots(t *testing.T) {
	t.Parallel()
	a, b, c := ca(t, "a", nil), ca(t, "b", nil), ca(t, "c", nil)
	fileA, fileB, junk := write(t, "a.pem", a.pem()), write(t, "b.pem", b.pem()), write(t, "junk", "no certificate")
	dir := filepath.Dir(write(t, "c.0", c.pem()+c.keyPEM(t)))
	if err := os.WriteFile(filepath.Join(dir, "c.pem"), []byte(c.pem()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	none, list := filepath.Join(t.TempDir(), "none"), string(filepath.ListSeparator)
	usual := places{files: []string{none, junk, fileA, fileB}, dirs: []string{dir}}
	for name, tt := range map[string]struct {
		places    places
		file, dir string
		want      string // names, or the error
	}{
		"first file that has any":    {usual, "", "", "a"},
		"directory if no file":       {places{files: []string{none}, dirs: []string{none, dir}}, "", "", "c c"},
		"file of the environment":    {usual, fileB, "", "b"},
		"directory of the same":      {usual, "", dir, "c c"},
		"both":                       {usual, fileB, dir, "b c c"},
		"two directories":            {usual, "", list + dir + list + filepath.Dir(fileB), "c c b"},
		"an empty directory besides": {usual, fileB, filepath.Dir(none), "b"},
		"misspelt file":              {usual, none, dir, "correct SSL_CERT_FILE or unset it"},
		"file without any":           {usual, junk, "", "correct SSL_CERT_FILE or unset it"},
		"misspelt directory":         {usual, "", none, "correct SSL_CERT_DIR or unset it"},
		"misspelt directory besides": {usual, fileB, none, "correct SSL_CERT_DIR or unset it"},
		"directory without any":      {usual, "", filepath.Dir(none), "correct SSL_CERT_DIR or unset it"},
		"list of nothing":            {usual, "", list, "SSL_CERT_DIR names no directory"},
		"nowhere":                    {places{files: []string{none}, dirs: []string{none}}, "", "", "install ca-certificates"},
		"a system without files":     {places{}, "", "", "set SSL_CERT_FILE to that file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := tt.places
			p.env = func(name string) string {
				return map[string]string{"SSL_CERT_FILE": tt.file, "SSL_CERT_DIR": tt.dir}[name]
			}
			certs, err := p.roots()
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error = %v, want %q in it", err, tt.want)
				}
				return
			}
			var got []string
			for _, c := range certs {
				got = append(got, c.Subject.CommonName)
			}
			if want := strings.Fields(tt.want); !slices.Equal(got, want) {
				t.Errorf("roots = %q, want %q", got, want)
			}
		})
	}
}

// On the machine that runs the tests, the system's roots are found.
func TestTheSystem(t *testing.T) {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		t.Setenv("SSL_CERT_FILE", "")
		t.Setenv("SSL_CERT_DIR", "")
		if _, err := Bundle(t.TempDir()); err == nil || !strings.Contains(err.Error(), "set SSL_CERT_FILE") {
			t.Errorf("error = %v, want what to set", err)
		}
		t.Setenv("SSL_CERT_FILE", write(t, "roots.pem", ca(t, "root", nil).pem()))
	} else if _, err := os.Stat("/etc/ssl/certs"); err != nil {
		t.Skip(err)
	}
	proxy := write(t, "proxy.pem", ca(t, "the proxy's", nil).pem())
	path, err := Bundle(t.TempDir(), proxy)
	if err != nil {
		t.Fatal(err)
	}
	names := subjects(t, path)
	if len(names) < 2 || names[0] != "the proxy's" {
		t.Errorf("the bundle holds %d certificates, %q first; want the proxy's and the system's", len(names), names[0])
	}
	t.Logf("%d certificates", len(names))
}
