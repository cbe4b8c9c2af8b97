// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/fixtures"
)

// hostileTime is how long the hostile program tries everything, in each of four sandboxes.
var hostileTime = flag.Duration("hostile", 1500*time.Millisecond, "how long TestHostile tries everything in each sandbox")

// What visitor tells of its attempts.
type attempts struct {
	Tries                   int
	Tried, Worked, Answered map[string]int
}

// TestHostile runs a program that tries every way out, again and again, while the world outside, and sockets of all kinds
// on the host, are watched: they see nothing but the requests of the program's good neighbour in the same sandbox.
func TestHostile(t *testing.T) {
	for _, mode := range modes {
		for _, transparent := range []bool{false, true} {
			name := mode
			if transparent {
				name += "-transparent"
			}
			t.Run(name, func(t *testing.T) { hostile(t, mode, transparent) })
		}
	}
}

func hostile(t *testing.T, mode string, transparent bool) {
	b := newBench(t)
	dir, err := os.MkdirTemp("", "h-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b.setenv("VISITOR_SOCKETS=" + dir)
	sockets := watchSockets(t, dir)
	args := []string{"run", "--sandbox", mode, "--allow", allowed, "--log", filepath.Join(b.home, "log")}
	neighbour := "tunnel"
	if transparent {
		args, neighbour = append(args, "--transparent"), "fetch"
	}
	const script = `"$1" "$4" "$5" && "$1" hostile "$2" "$3" && "$1" "$4" "$5"`
	before := mark(t)
	r := b.run(t, append(args, "--", "sh", "-c", script, "sh", guest, hostileTime.String(), prober, neighbour, allowed)...)
	said, ok1 := strings.CutPrefix(r.stdout, greeted)
	said, ok2 := strings.CutSuffix(said, greeted)
	if r.status != 0 || !ok1 || !ok2 {
		t.Fatalf("%s\nwant the page before and after the attempts", r)
	}
	var a attempts
	if err := json.Unmarshal([]byte(said), &a); err != nil {
		t.Fatalf("%v in %s", err, said)
	}
	t.Logf("%d attempts in %s: %v; went through, as far as the program could see: %v", a.Tries, hostileTime, a.Tried, a.Worked)
	for _, kind := range []string{"connect", "ask", "send", "smuggle", "socket", "raw", "unshare", "foreign", "family", "ring", "kernel"} {
		if a.Tried[kind] == 0 {
			t.Errorf("nothing of the kind %s was tried: %v", kind, a.Tried)
		}
	}
	for what, n := range a.Answered {
		t.Errorf("%s: %d times with success", what, n)
	}
	if n := sockets(); n > 0 {
		t.Errorf("sockets of the host heard of %d attempts", n)
	}
	onlyNeighbour(t, before)
}

// onlyNeighbour fails the test if since m there was anything but the two requests for the allowed host.
func onlyNeighbour(t *testing.T, m fixtures.Mark) {
	t.Helper()
	e, err := world.Witness().Since(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range e.Queries {
		if q.Name != allowed {
			t.Errorf("a query left the sandbox: %s", q)
		}
	}
	addr := hosts[allowed]
	pages := 0
	for _, c := range e.Connections {
		if c.Local().Addr() != addr || c.Local().Port() != 80 && c.Local().Port() != 443 {
			t.Errorf("a connection left the sandbox: %s", c)
		}
		pages += len(c.Requests())
	}
	if pages < 2 {
		t.Errorf("the origin has seen %d requests, want the neighbour's two", pages)
	}
	for _, p := range e.Out() {
		if port := p.Dst.Port(); p.Kind != "tcp-syn" || p.Dst.Addr() != addr || port != 80 && port != 443 {
			t.Errorf("a packet left the sandbox: %s", p)
		}
	}
}

// watchSockets makes Unix sockets where the program looks for them, and returns how many times they heard anything.
func watchSockets(t *testing.T, dir string) func() int64 {
	t.Helper()
	var heard atomic.Int64
	for _, name := range []string{"@sallyport-e2e-hostile", filepath.Join(dir, "stream.sock")} {
		l, err := net.Listen("unix", name)
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
				heard.Add(1)
				c.Close()
			}
		}()
	}
	name := filepath.Join(dir, "datagram.sock")
	d, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	go func() {
		for buf := make([]byte, 64); ; {
			if _, err := d.Read(buf); err != nil {
				return
			}
			heard.Add(1)
		}
	}()
	return heard.Load
}
