// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// A client is a program that asks for something below a URL over TLS.
type client struct {
	name string
	rare bool                                    // scripts/setup does not install it; it is tested where it happens to be
	argv []string                                // URL stands for the URL
	env  []string                                // the same
	need []string                                // a command that fails where the program lacks something
	file func(dir, url string) map[string]string // what its working directory holds
}

// debianPython is the one that Debian's packages bring their modules to.
const debianPython = "/usr/bin/python3"

const (
	urllibProgram   = "import urllib.request as r; r.urlopen('URL').read()"
	requestsProgram = "import requests; requests.get('URL')"
	httpxProgram    = "import httpx; httpx.get('URL')"
	botoProgram     = "import botocore.session as s; s.get_session().create_client('s3', endpoint_url='URL', region_name='r', aws_access_key_id='a', aws_secret_access_key='b').list_buckets()"
	nodeProgram     = "require('https').get('URL', r => r.resume()).on('error', e => { console.error(e.message); process.exit(1) })"
	fetchProgram    = "fetch('URL').then(r => r.text()).catch(e => { console.error(e.cause); process.exit(1) })"
	rubyProgram     = "require 'net/http'; Net::HTTP.get(URI('URL'))"
	phpProgram      = "exit(file_get_contents('URL') === false ? 1 : 0);"
)

var clients = []client{
	{name: "curl", argv: []string{"curl", "-sS", "URL"}},
	{name: "OpenSSL's variables alone", argv: []string{"env", "-u", "CURL_CA_BUNDLE", "curl", "-sS", "URL"}, need: []string{"curl", "--version"}},
	{name: "git", argv: []string{"git", "ls-remote", "URL/repo.git"}},
	{name: "openssl", argv: []string{"sh", "-c", `printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -quiet -verify_return_error -connect ADDR`}, need: []string{"openssl", "version"}},
	{name: "urllib", argv: []string{debianPython, "-c", urllibProgram}},
	{name: "requests", argv: []string{debianPython, "-c", requestsProgram}, need: []string{debianPython, "-c", "import requests"}},
	{name: "httpx", argv: []string{debianPython, "-c", httpxProgram}, need: []string{debianPython, "-c", "import httpx"}},
	{name: "botocore", argv: []string{debianPython, "-c", botoProgram}, env: []string{"AWS_MAX_ATTEMPTS=1"}, need: []string{debianPython, "-c", "import botocore"}},
	{name: "pip", argv: []string{debianPython, "-m", "pip", "download", "--no-deps", "--retries=0", "--index-url=URL/simple", "greeting"}, need: []string{debianPython, "-m", "pip", "--version"}},
	{name: "node", argv: []string{"node", "-e", nodeProgram}},
	{name: "node fetch", argv: []string{"node", "-e", fetchProgram}},
	{name: "deno", rare: true, argv: []string{"deno", "eval", "await " + strings.ReplaceAll(fetchProgram, "process", "Deno")}},
	{name: "npm", argv: []string{"npm", "view", "greeting", "--registry=URL/", "--fetch-retries=0"}},
	{name: "go", argv: []string{"go", "list", "-m", "-versions", "example.test/greeting"},
		env: []string{"GOPROXY=URL", "GOSUMDB=off", "GOWORK=off", "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod", "GO111MODULE=on"}},
	{name: "cargo", rare: true, argv: []string{"cargo", "generate-lockfile"}, env: []string{"CARGO_NET_RETRY=0", "CARGO_HOME=HOME/cargo"},
		file: func(dir, url string) map[string]string {
			return map[string]string{
				"Cargo.toml":         "[package]\nname = \"a\"\nversion = \"0.1.0\"\n[dependencies]\ngreeting = \"1\"\n",
				"src/lib.rs":         "",
				".cargo/config.toml": "[source.crates-io]\nreplace-with = \"ours\"\n[source.ours]\nregistry = \"sparse+" + url + "/\"\n",
			}
		}},
	{name: "ruby", argv: []string{"ruby", "-e", rubyProgram}},
	{name: "php", argv: []string{"php", "-r", phpProgram}, need: []string{"php", "-r", "exit(extension_loaded('openssl') ? 0 : 1);"}},
}

// visits are the paths that were asked for over a verified connection.
type visits struct {
	mu   sync.Mutex
	seen []string
}

func (v *visits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen = append(v.seen, r.URL.Path)
	http.NotFound(w, r)
}

func (v *visits) any() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.seen) > 0
}

// Every program trusts what the bundle holds and nothing else, whatever the host's
// variables say. A request at the server is the proof: it follows verification.
func TestClients(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("SSL_CERT_FILE is not honoured by every program of other systems")
	}
	proxy, root := ca(t, "proxy", nil), ca(t, "root", nil)
	dir := t.TempDir()
	bundle, err := rootsIn(write(t, "roots.pem", root.pem())).bundle(dir, []string{write(t, "ca.pem", proxy.pem())}, now)
	if err != nil {
		t.Fatal(err)
	}
	without := write(t, "without.pem", root.pem())
	for _, c := range clients {
		missing := c.missing()
		if c.rare && missing != nil {
			t.Logf("%s is not tested: %v", c.name, missing)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if missing != nil {
				t.Skipf("%v: run scripts/setup as root", missing)
			}
			if reached, out := c.run(t, proxy, bundle, without); !reached {
				t.Errorf("it does not trust the bundle:\n%s", out)
			}
			if reached, out := c.run(t, proxy, without, bundle); reached {
				t.Errorf("control: it trusts what its bundle does not hold:\n%s", out)
			}
		})
	}
}

// missing says what the program lacks here.
func (c client) missing() error {
	if _, err := exec.LookPath(c.argv[0]); err != nil {
		return err
	}
	if c.need != nil && exec.Command(c.need[0], c.need[1:]...).Run() != nil {
		return fmt.Errorf("%q fails here", c.need)
	}
	return nil
}

// run runs the client where the host's variables say host and ours say bundle, and
// reports whether it asked its server for anything.
func (c client) run(t *testing.T, proxy made, bundle, host string) (reached bool, out string) {
	t.Helper()
	v := &visits{}
	s := httptest.NewUnstartedServer(v)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{proxy.server(t)}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it is about the clients that do not trust it
	s.StartTLS()
	defer s.Close()
	addr := strings.Replace(s.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	home := t.TempDir()
	fill := strings.NewReplacer("URL", "https://"+addr, "ADDR", addr, "HOME", home).Replace
	if c.file != nil {
		for name, text := range c.file(home, fill("URL")) {
			path := filepath.Join(home, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	base := os.Environ()
	for _, kv := range append([]string{"SSL_CERT_DIR=" + t.TempDir(), "XDG_CACHE_HOME=HOME/cache", "npm_config_cache=HOME/npm", "DENO_DIR=HOME/deno"}, c.env...) {
		base = append(base, fill(kv))
	}
	for _, name := range []string{"SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE", "DENO_CERT", "npm_config_cafile"} {
		base = append(base, name+"="+host)
	}
	cmd := exec.CommandContext(t.Context(), c.argv[0])
	for _, a := range c.argv[1:] {
		cmd.Args = append(cmd.Args, fill(a))
	}
	cmd.Dir, cmd.Env = home, proxycore.Environ(base, proxycore.Bouquet{CABundle: bundle})
	text, _ := cmd.CombinedOutput() // its verdict is the server's
	return v.any(), string(text)
}
