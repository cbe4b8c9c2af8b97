// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/fixtures/containers"
)

// Two containers run at the same time on one proxy, each with a policy of its own: each finds its host and no other, and
// the log knows which it was.
func TestTwoPolicies(t *testing.T) {
	needEngine(t)
	for _, tt := range []struct {
		name, user  string
		transparent bool
	}{
		{"root", "", false}, {"ordinary user", ordinary, false}, {"transparent", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			policies := map[string]int{"a": 1, "b": 2}
			args, each := []string{"--listen", "none"}, 1
			if tt.transparent {
				args, each = append(args, "--transparent"), 2
			}
			p := startProxy(t, policies, args...)
			before := mark(t)
			running := map[string]*containers.Container{}
			for name := range policies {
				c, err := engine.Start(t.Context(), p.attach(name, tt.user, tt.transparent, seek()...))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				running[name] = c
			}
			for name, c := range running {
				r, err := c.Wait(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				found(t, name, r, policies[name], tt.transparent)
			}
			onlySince(t, before, map[int]int{1: each, 2: each})
			p.attributed(t, policies, tt.transparent)
		})
	}
}

// attributed judges the log: what was admitted is the host of the sandbox's own policy.
func (p *proxy) attributed(t *testing.T, policies map[string]int, transparent bool) {
	t.Helper()
	type key struct{ sandbox, method, host, decision string }
	got := map[key]int{}
	for _, d := range p.decisions(t) {
		got[key{d.Sandbox, d.Method, d.Host, d.Decision}]++
	}
	for name, own := range policies {
		for host := range hostCount {
			k := key{name + "-1", "CONNECT", hostName(host), "deny"}
			past := key{name + "-1", "DNS", hostName(host), "deny"}
			if host == own {
				k.decision, past = "allow", key{name + "-1", "TCP", hostName(host), "allow"}
			}
			if got[k] != 1 {
				t.Errorf("%d records like %+v, want 1", got[k], k)
			}
			if transparent && got[past] == 0 {
				t.Errorf("no record like %+v", past)
			}
			delete(got, k)
			delete(got, past)
		}
	}
	for k := range got {
		t.Errorf("the log has %+v", k)
	}
}

// What a container that has not attached reaches: nothing.
func TestWithoutAttach(t *testing.T) {
	needEngine(t)
	p := startProxy(t, map[string]int{"a": 1})
	c := p.attach("a", "", false)
	c.Command = seek()
	before := mark(t)
	r, err := engine.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	found(t, "a container that has not attached", r, -1, false)
	onlySince(t, before, nil)
}

// Who attaches in a way that cannot be is told why, and nothing runs.
func TestRefusals(t *testing.T) {
	needEngine(t)
	p := startProxy(t, map[string]int{"a": 1}, "--listen", "none", "--transparent")
	plain := startProxy(t, map[string]int{"b": 1}, "--listen", "none")
	without := p.attach("a", "", true, seek()...)
	without.AddCapabilities = nil
	elsewhere := p.attach("a", "", false, seek()...)
	elsewhere.Command[3] = "/run/sallyport/other.sock"
	for _, tt := range []struct {
		name   string
		config containers.Config
		says   string
	}{
		{"transparent without the capability", without, "CAP_NET_ADMIN"},
		{"transparent as an ordinary user", p.attach("a", ordinary, true, seek()...), "CAP_NET_ADMIN"},
		{"transparent where the proxy does not offer it", plain.attach("b", "", true, seek()...), "--transparent"},
		{"a user that is not admitted", p.attach("a", "1001", false, seek()...), "--control-uid"},
		{"no such socket", elsewhere, "/run/sallyport/other.sock"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := mark(t)
			r, err := engine.Run(t.Context(), tt.config)
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != 125 || r.Stdout != "" || !strings.Contains(r.Stderr, tt.says) {
				t.Errorf("%s\nwant status 125 and a message with %q", r, tt.says)
			}
			onlySince(t, before, nil)
		})
	}
}

// The command is the first process in all but name: its status is the container's, and what it leaves behind ends.
func TestStatus(t *testing.T) {
	needEngine(t)
	p := startProxy(t, map[string]int{"a": 1})
	for want, command := range map[int][]string{0: {visitorPath, "hold"}, 1: {visitorPath}, 127: {"/nowhere"}} {
		r, err := engine.Run(t.Context(), p.attach("a", ordinary, false, command...))
		if err != nil || r.Status != want {
			t.Errorf("%v: %s, %v; want status %d", command, r, err, want)
		}
	}
}

// The proxy is a container, too, which shares a volume with the one that attaches and another with its upstream: it has
// no more network than they. In a cluster it would be a sidecar.
func TestProxyInContainer(t *testing.T) {
	needEngine(t)
	out := shortDir(t)
	upstream := filepath.Join(out, "upstream.sock")
	start(t, "proxy", "--listen", "none", "--socket", upstream, "--allow", fmt.Sprintf("*.example.net:%d", hostPort))
	volume := shortDir(t)
	policyFile(t, volume, "a", 3)
	sidecar, err := engine.Start(t.Context(), containers.Config{
		Image: image, ReadOnly: true,
		Command: []string{sallyportPath, "proxy", "--listen", "none", "--control", "/run/sallyport/a.sock=/run/sallyport/a.yaml",
			"--upstream", "unix:///out/upstream.sock", "--log", "-"},
		Mounts: []containers.Mount{{Host: volume, Target: "/run/sallyport"}, {Host: out, Target: "/out", ReadOnly: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sidecar.Close()
	p := &proxy{dir: filepath.Dir(volume)}
	awaitFile(t, sidecar, filepath.Join(volume, "a.sock"))
	config := p.attach("a", "", false, seek()...)
	config.Mounts[0].Host = volume
	before := mark(t)
	r, err := engine.Run(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	found(t, "through a proxy in a container", r, 3, false)
	onlySince(t, before, map[int]int{3: 1})
	if err := sidecar.Signal(t.Context(), "TERM"); err != nil {
		t.Fatal(err)
	}
	if r, err := sidecar.Wait(t.Context()); err != nil || r.Status != 0 || !strings.Contains(r.Stderr, `"a-1"`) {
		t.Errorf("the proxy: %v\n%s\nwant status 0 and the sandbox a-1 in the log", err, r)
	}
}

// awaitFile waits for a file that a container makes.
func awaitFile(t *testing.T, by *containers.Container, path string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			stdout, stderr, err := by.Output(t.Context())
			t.Fatalf("no %s: %v\n%s%s", path, err, stdout, stderr)
		}
	}
}
