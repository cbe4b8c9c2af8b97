// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// pathWithSpace is a directory such as users have on macOS and Windows.
func pathWithSpace(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), `it's "mine" now`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		dir = filepath.Join(t.TempDir(), "with space") // Windows forbids quotes
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTrustStore(t *testing.T) {
	t.Parallel()
	named := func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{"Über 🦊\nroots"}} }
	twins := []made{ca(t, "Twin", nil), ca(t, "twin", nil), ca(t, "", named)}
	text := ca(t, "x", nil).keyPEM(t)
	for _, m := range append(twins, twins[0]) {
		text += m.pem()
	}
	dir := pathWithSpace(t)
	path, err := TrustStore(dir, write(t, "bundle.pem", text))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "truststore.p12"); path != want {
		t.Errorf("path = %q, want %q", path, want)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pkcs12.DecodeTrustStore(data, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []*x509.Certificate{twins[0].cert, twins[1].cert, twins[2].cert}
	if !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
		t.Errorf("the store holds %d certificates, want the three of the bundle", len(got))
	}
}

func TestTrustStoreRefuses(t *testing.T) {
	t.Parallel()
	if _, err := TrustStore(t.TempDir(), write(t, "bundle.pem", "")); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("empty bundle: %v", err)
	}
	if _, err := TrustStore(filepath.Join(t.TempDir(), "none"), write(t, "b.pem", ca(t, "x", nil).pem())); !os.IsNotExist(unwrapped(err)) {
		t.Errorf("missing directory: %v", err)
	}
}

func unwrapped(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		if _, is := err.(*fs.PathError); is {
			return err
		}
		err = u.Unwrap()
	}
}

// fetch is a Java program that prints what it gets from a URL.
const fetch = `import java.net.URI;
public class Fetch {
	public static void main(String[] args) throws Exception {
		try (var in = URI.create(args[0]).toURL().openStream()) { in.transferTo(System.out); }
	}
}`

// Java itself reads the store: keytool, and a program that knows nothing about it
// but the variable, with an option of the user's before ours.
func TestJava(t *testing.T) {
	t.Parallel()
	java, err1 := exec.LookPath("java")
	keytool, err2 := exec.LookPath("keytool")
	if err1 != nil || err2 != nil {
		t.Skip("no JDK")
	}
	proxy := ca(t, "The Proxy's CA", nil)
	dir := pathWithSpace(t)
	bundle, err := rootsIn(write(t, "roots.pem", ca(t, "root", nil).pem())).bundle(dir, []string{write(t, "ca.pem", proxy.pem())}, now)
	if err != nil {
		t.Fatal(err)
	}
	store, err := TrustStore(dir, bundle)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("keytool", func(t *testing.T) {
		t.Parallel()
		out, err := exec.Command(keytool, "-list", "-keystore", store, "-storepass", "any password").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "contains 2 entries") || strings.Count(string(out), "trustedCertEntry") != 2 ||
			!strings.Contains(string(out), "001 the proxy's ca") {
			t.Errorf("keytool: %v\n%s", err, out)
		}
	})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello Java")) }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{proxy.server(t)}}
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	program := write(t, "Fetch.java", fetch)
	run := func(env []string) (string, error) {
		c := exec.CommandContext(t.Context(), java, "-Xshare:auto", program, "https://localhost:"+port+"/")
		c.Env = env
		out, err := c.CombinedOutput()
		return string(out), err
	}
	t.Run("trusts", func(t *testing.T) {
		t.Parallel()
		base := append(os.Environ(), "JAVA_TOOL_OPTIONS=-Xmx200m -Djavax.net.ssl.trustStorePassword=theirs")
		out, err := run(proxycore.Environ(base, proxycore.Bouquet{JavaTrustStore: store}))
		if err != nil || !strings.HasSuffix(out, "hello Java") || !strings.Contains(out, "-Xmx200m") {
			t.Errorf("java: %v\n%s", err, out)
		}
	})
	t.Run("control", func(t *testing.T) {
		t.Parallel()
		if out, err := run(os.Environ()); err == nil || !strings.Contains(out, "SSLHandshakeException") {
			t.Errorf("without the store, java: %v\n%s", err, out)
		}
	})
}
