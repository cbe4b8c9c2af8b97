// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// presetSpec renders a policy for a program that has to be installed.
func presetSpec(t *testing.T, name string, policy Policy) Spec {
	t.Helper()
	p, err := LookupPreset(name)
	if err != nil {
		t.Fatal(err)
	}
	realProgram(t, p.program)
	spec, err := p.Spec(policy)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// withHosts makes the program of a preset find names that no name server has.
func withHosts(t *testing.T, name string, spec Spec, hosts map[string][]string) Spec {
	t.Helper()
	var squid, python strings.Builder
	for host, addresses := range hosts {
		for _, a := range addresses {
			fmt.Fprintf(&squid, "%s %s\n", a, host)
		}
		fmt.Fprintf(&python, "HOSTS[%q] = %q.split()\n", host, strings.Join(addresses, " "))
	}
	switch name {
	case "squid":
		dir := t.TempDir() // which Squid has to read when it is no longer root
		path := filepath.Join(dir, "hosts")
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.WriteFile(path, []byte(squid.String()), 0o644)); err != nil {
			t.Fatal(err)
		}
		spec.Config += "hosts_file " + path + "\n"
	case "mitmdump":
		spec.Env = append(spec.Env, "PYTHONPATH={dir}")
		spec.Files["sitecustomize.py"] = "import socket\nHOSTS = {}\n" + python.String() + `
asked = socket.getaddrinfo
def getaddrinfo(host, port, *args, **kwargs):
    host = host.decode() if isinstance(host, bytes) else host
    return [a for h in HOSTS.get(host, [host]) for a in asked(h, port, *args, **kwargs)]
socket.getaddrinfo = getaddrinfo
`
	default:
		t.Fatalf("there is no way to give %s names", name)
	}
	return spec
}

// ask sends one head and returns the answer and the connection behind it.
func ask(t *testing.T, h *proxycore.Handle, head string) (*http.Response, *bufio.Reader, net.Conn) {
	t.Helper()
	c := dial(t, h)
	if _, err := io.WriteString(c, head); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatalf("%q: %v", head, err)
	}
	return resp, r, c
}

// connectHead is a CONNECT, with credentials when user is not empty.
func connectHead(target, user, password string) string {
	field := ""
	if user != "" {
		field = "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"
	}
	return fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, target, field)
}

// banner is an origin that speaks first, and returns its port.
func banner(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello\n")
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// carry asks for target and expects the banner through the tunnel.
func carry(t *testing.T, h *proxycore.Handle, target, user, password string) {
	t.Helper()
	resp, r, _ := ask(t, h, connectHead(target, user, password))
	if resp.StatusCode != http.StatusOK {
		t.Errorf("CONNECT %s = %d; want 200", target, resp.StatusCode)
		return
	}
	if line, err := r.ReadString('\n'); line != "hello\n" {
		t.Errorf("CONNECT %s: read %q, %v; want the origin's banner", target, line, err)
	}
}

// refuses asks for target and expects the status.
func refuses(t *testing.T, h *proxycore.Handle, target string, status int) {
	t.Helper()
	if resp, _, _ := ask(t, h, connectHead(target, "", "")); resp.StatusCode != status {
		t.Errorf("CONNECT %s = %d; want %d", target, resp.StatusCode, status)
	}
}

// Every program admits an address on the list, refuses others, other ports and plain
// requests, and leaves nothing behind.
func TestPresetLiterals(t *testing.T) {
	t.Parallel()
	for _, name := range Presets() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, other := banner(t), banner(t)
			spec := presetSpec(t, name, Policy{Allow: []string{"127.0.0.1:" + port}, Intercept: InterceptNothing})
			mark := testMark(t)
			spec.Env = append(spec.Env, mark)
			h := start(t, spec)
			carry(t, h, "127.0.0.1:"+port, "", "")
			refuses(t, h, "127.0.0.1:"+other, 403)
			refuses(t, h, "127.0.0.2:"+port, 403)
			refuses(t, h, "denied.invalid:"+port, 403)
			for _, head := range []string{
				"GET http://127.0.0.1:" + port + "/ HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\n\r\n",
				"POST http://127.0.0.1:" + port + "/ HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\nContent-Length: 0\r\n\r\n",
				"CONNECT / HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\n\r\n",
				"CONNECT x^y HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\n\r\n",
				"GET / HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\n\r\n",
			} {
				if resp, _, _ := ask(t, h, head); resp.StatusCode < 400 || resp.StatusCode == 500 {
					t.Errorf("%q = %d; want a refusal", head, resp.StatusCode)
				}
			}
			if err := h.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if left := carriers(mark); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

// A proxy without a policy is open to those who know its credentials, and to nobody else.
func TestPresetUnfiltered(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"squid", "tinyproxy", "mitmdump"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := banner(t)
			spec := presetSpec(t, name, Policy{Unfiltered: true, Intercept: InterceptNothing})
			user, password := spec.Credentials()
			h := start(t, spec)
			carry(t, h, "127.0.0.1:"+port, user, password)
			refuses(t, h, "127.0.0.1:"+port, 407)
			for _, c := range [][2]string{{user, password + "0"}, {user, password[1:]}, {"x" + user, password}} {
				resp, _, _ := ask(t, h, connectHead("127.0.0.1:"+port, c[0], c[1]))
				if resp.StatusCode/100 == 2 {
					t.Errorf("with wrong credentials: %d", resp.StatusCode)
				}
			}
		})
	}
}

// Names: what they resolve to is judged, every answer of it, and only what was judged
// is dialled.
func TestPresetNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"squid", "mitmdump"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := banner(t)
			spec := presetSpec(t, name, Policy{
				Allow: []string{
					"good.test:" + port, "*.one.test:" + port, "**.deep.test:" + port, "mixed.test:" + port, "private.test:*",
					"metadata.test:*", "127.0.0.1:" + port, "**.google.internal:*", "nowhere.test:*", "denied.test:*", "wrapped.test:*",
				},
				Deny: []string{"evil.deep.test", "127.0.0.9", "8.8.8.8"}, Intercept: InterceptNothing,
			})
			spec = withHosts(t, name, spec, map[string][]string{
				"good.test": {"127.0.0.1"}, "a.one.test": {"127.0.0.1"}, "a.b.deep.test": {"127.0.0.1"}, "evil.deep.test": {"127.0.0.1"},
				"mixed.test": {"127.0.0.1", "127.0.0.2"}, "private.test": {"10.0.0.1"}, "metadata.test": {"169.254.169.254"},
				"metadata.google.internal": {"127.0.0.1"}, "denied.test": {"8.8.8.8"}, "wrapped.test": {"64:ff9b::808:808"},
			})
			h := start(t, spec)
			for _, host := range []string{"good.test", "GOOD.test", "good.test.", "a.one.test", "a.b.deep.test"} {
				carry(t, h, host+":"+port, "", "")
			}
			for _, host := range []string{
				"good.test.evil.test", "evilgood.test", "one.test", "a.a.one.test", "deep.test", "evil.deep.test", "mixed.test",
				"private.test", "metadata.test", "metadata.google.internal", "127.0.0.9", "denied.test", "wrapped.test", "localhost",
			} {
				refuses(t, h, host+":"+port, 403)
			}
			refuses(t, h, "good.test:1", 403)
			refuses(t, h, "nowhere.test:"+port, 502)
			for _, target := range []string{"good.test@evil.test:" + port, "-x.test:" + port} {
				refuses(t, h, target, 400)
			}
		})
	}
}

// Squid has nothing to say about a configuration: what it warns of it has dropped.
func TestSquidTakesEveryLine(t *testing.T) {
	t.Parallel()
	program := realProgram(t, "squid")
	squid, _ := LookupPreset("squid")
	for name, policy := range goldenPolicies {
		spec, err := squid.rendered(policy)
		if err != nil {
			continue
		}
		path := writeConfig(t, strings.ReplaceAll(spec.Config, portPlaceholder, "3128"))
		out, err := exec.CommandContext(t.Context(), program, "-k", "parse", "-f", path).CombinedOutput()
		rest := strings.ReplaceAll(string(out), "WARNING: HTTP requires the use of Via", "")
		if err != nil || strings.Contains(rest, "WARNING") || strings.Contains(string(out), "ERROR") {
			t.Errorf("policy %q: %v\n%s", name, err, out)
		}
	}
}

// A client that never ends its head is not waited for.
func TestPresetHeadTimeout(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"squid", "mitmdump"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, presetSpec(t, name, Policy{HeadTimeout: time.Second}))
			c := dial(t, h)
			if _, err := io.WriteString(c, "CONNECT slow.invalid:443 HTTP/1.1\r\nHost:"); err != nil {
				t.Fatal(err)
			}
			awaitEOF(t, c)
		})
	}
}
