// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/fixtures"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// Many hosts, each with an address of its own, at which somebody says which address that is.
const (
	manyFormat = "host-%d.many.example.net"
	manyPort   = 7000
)

func manyAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{93, 184, byte(i >> 8), byte(i)}) }

// serveMany makes n hosts.
func serveMany(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		world.SetHost(fmt.Sprintf(manyFormat, i), manyAddr(i))
	}
	o, err := world.Origin(netip.AddrPortFrom(netip.IPv4Unspecified(), manyPort), fixtures.BehaviorFunc(func(c *fixtures.Conn) {
		fmt.Fprintln(c, c.Local().Addr())
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
}

// A meeting is what visitor tells of one host: by every way it took, which address was reached.
type meeting struct {
	Name    string
	Answers []string
	Why     string
}

// TestThousandNames looks a thousand names up in one transparent sandbox and connects to each.
func TestThousandNames(t *testing.T) {
	const n = 1000
	serveMany(t, n)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			b := newBench(t)
			log := filepath.Join(b.home, "log")
			r := b.run(t, "run", "--transparent", "--sandbox", mode, "--log", log, "--allow", fmt.Sprintf("*.many.example.net:%d", manyPort),
				"--", guest, "names", manyFormat, fmt.Sprint(n), fmt.Sprint(manyPort))
			var met []meeting
			if err := json.Unmarshal([]byte(r.stdout), &met); err != nil || len(met) != n {
				t.Fatalf("%d names, %v\n%s", len(met), err, r)
			}
			for i, m := range met {
				if len(m.Answers) != 1 || m.Answers[0] != manyAddr(i).String() {
					t.Errorf("%s leads to %q (%s), want %s", m.Name, m.Answers, m.Why, manyAddr(i))
				}
			}
			seen := map[string]int{}
			for _, d := range decisions(t, log) {
				if d.Decision != "allow" || d.Method != "TCP" || d.Port != manyPort {
					t.Errorf("decision = %+v, want an allowed connection", d)
				}
				seen[d.Host]++
			}
			for _, m := range met {
				if seen[m.Name] != 1 {
					t.Errorf("%d decisions about %s, want 1", seen[m.Name], m.Name)
				}
			}
		})
	}
}

// TestFiftySandboxes has one proxy serve fifty transparent sandboxes at once, each with a policy that admits another
// host. Each asks for all of the hosts, past the proxy and through it.
func TestFiftySandboxes(t *testing.T) {
	const n = 50
	serveMany(t, n)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			var kept records
			h, err := proxycore.BuiltIn{Port: -1, Config: proxycore.Config{Record: kept.add}}.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			before := mark(t)
			crowd := make([]*resident, n)
			for i := range crowd {
				crowd[i] = settle(t, h, bridge.Mode(mode), i, n)
			}
			for _, r := range crowd {
				r.awaitReady(t)
			}
			for _, r := range crowd { // all of them are there; now they begin
				r.stdin.Close()
			}
			for i, r := range crowd {
				r.judge(t, i)
			}
			if err := h.Close(); err != nil {
				t.Error(err)
			}
			kept.judge(t, n)
			e, err := world.Witness().Since(before)
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Connections) != 2*n {
				t.Errorf("%d connections to origins, want two of each sandbox, %d:\n%s", len(e.Connections), 2*n, e)
			}
		})
	}
}

// resident is one sandbox with visitor in it.
type resident struct {
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout         io.Reader
	stderr, answer bytes.Buffer
}

// settle starts the sandbox box-i, whose policy is to admit host i of n.
func settle(t *testing.T, h *proxycore.Handle, mode bridge.Mode, i, n int) *resident {
	t.Helper()
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{fmt.Sprintf(manyFormat+":%d", i, manyPort)}})
	if err != nil {
		t.Fatal(err)
	}
	box := bridge.Sandbox{Mode: mode, Name: fmt.Sprintf("box-%d", i), Filter: filter, Transparent: true}
	cmd, err := box.Command(t.Context(), h, guest, "seek", manyFormat, fmt.Sprint(n), fmt.Sprint(manyPort))
	if err != nil {
		t.Fatal(err)
	}
	r := &resident{cmd: cmd}
	cmd.Stderr = &r.stderr
	var err1, err2 error
	r.stdin, err1 = cmd.StdinPipe()
	r.stdout, err2 = cmd.StdoutPipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *resident) awaitReady(t *testing.T) {
	t.Helper()
	line := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(r.stdout, line); err != nil {
		t.Fatalf("a sandbox has not started: %v, %v\n%s", err, r.cmd.Wait(), &r.stderr)
	}
}

// judge waits for the end of the sandbox box-i: of all the hosts it has reached host i, in both ways.
func (r *resident) judge(t *testing.T, i int) {
	t.Helper()
	_, err := r.answer.ReadFrom(r.stdout)
	if waitErr := r.cmd.Wait(); err != nil || waitErr != nil {
		t.Errorf("box-%d: %v, %v\n%s", i, err, waitErr, &r.stderr)
		return
	}
	var met []meeting
	if err := json.Unmarshal(r.answer.Bytes(), &met); err != nil {
		t.Errorf("box-%d: %v in %s", i, err, &r.answer)
	}
	for j, m := range met {
		want := ""
		if i == j {
			want = manyAddr(i).String()
		}
		for _, got := range m.Answers {
			if got != want {
				t.Errorf("box-%d: %s leads to %q (%s), want %q", i, m.Name, m.Answers, m.Why, want)
			}
		}
	}
}

// records are the decisions of a proxy.
type records struct {
	mu  sync.Mutex
	all []proxycore.Record
}

func (k *records) add(r proxycore.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, r)
	return nil
}

// judge sees to it that every decision is that of the right sandbox: in each of the n, one host is admitted in two ways,
// and all the others are denied in both.
func (k *records) judge(t *testing.T, n int) {
	t.Helper()
	type key struct {
		box, host int
		method    string
	}
	count := map[key]int{}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.all {
		var of key
		_, err1 := fmt.Sscanf(r.Sandbox, "box-%d", &of.box)
		_, err2 := fmt.Sscanf(r.Host, manyFormat, &of.host)
		if err1 != nil || err2 != nil || (of.box == of.host) != (r.Decision == "allow") {
			t.Errorf("the record has %+v", r)
		}
		of.method = r.Method
		count[of]++
	}
	for box := range n {
		for host := range n {
			past := "DNS"
			if box == host {
				past = "TCP"
			}
			if count[key{box, host, past}] == 0 || count[key{box, host, "CONNECT"}] != 1 {
				t.Errorf("no record of box-%d and host %d by %s (%d), or not one by CONNECT (%d)", box, host, past,
					count[key{box, host, past}], count[key{box, host, "CONNECT"}])
			}
		}
	}
}
