// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/fixtures"
)

// Where the tests' hosts are. Both serve the same, so that a refusal is seen to be a refusal and not a missing page.
const (
	allowed  = "github.com"
	refused  = "refused.example.net"
	database = "db.example.net"
	greeted  = "hello from the origin\n"
)

var hosts = map[string]netip.Addr{
	allowed: netip.MustParseAddr("140.82.112.3"),
	refused: netip.MustParseAddr("93.184.215.30"),
	// A private host, and one that nobody may ask for.
	database:                 netip.MustParseAddr("10.20.30.40"),
	"db.refused.example.net": netip.MustParseAddr("10.20.30.41"),
	// A name that leads to where no name should lead.
	"metadata.example.net": netip.MustParseAddr("169.254.169.254"),
}

// Set by TestMain for all tests.
var (
	sallyport string // path of the command under test
	prober    string // path of egressconform, which is the suite's probe, too
	guest     string // path of visitor, the static program that the tests run inside of sandboxes
	world     *fixtures.World
)

func TestMain(m *testing.M) {
	bridge.Init()
	status, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

func testMain(m *testing.M) (status int, err error) {
	const variable = "SALLYPORT_E2E_BINARIES" // scripts/test has built them; so that other users can run them
	const temporary = "SALLYPORT_E2E_TEMPORARY"
	if os.Getenv(variable) == "" {
		dir, err := os.MkdirTemp("", "sallyport-e2e-")
		if err != nil {
			return 1, err
		}
		os.Setenv(variable, dir)
		os.Setenv(temporary, dir)
		c := exec.Command("go", "build", "-o", dir, "../../bridge/cmd/sallyport", "../../conformance/cmd/egressconform", "./visitor")
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("building what is tested: %w\n%s", err, out)
		}
	}
	in := func(name string) string { return filepath.Join(os.Getenv(variable), name) }
	sallyport, prober, guest = in("sallyport"), in("egressconform"), in("visitor")
	if err := fixtures.Enter(); err != nil {
		return 1, err
	}
	if dir := os.Getenv(temporary); dir != "" { // here, because Enter does not return outside
		defer os.RemoveAll(dir)
	}
	if world, err = fixtures.NewWorld(fixtures.Options{}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	for name, addr := range hosts {
		world.SetHost(name, addr)
		if _, err := world.Origin(netip.AddrPortFrom(addr, 443), fixtures.TLS(fixtures.HTTP(site))); err != nil {
			return 1, err
		}
		if _, err := world.Origin(netip.AddrPortFrom(addr, 80), fixtures.HTTP(site)); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// site is what every origin serves; tests add their part.
var site = http.NewServeMux()

func init() {
	site.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, greeted) })
}

// mark notes where the witness's record is now.
func mark(t *testing.T) fixtures.Mark {
	t.Helper()
	m, err := world.Witness().Mark()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// nothingSince fails the test if anything at all was asked or sent since m.
func nothingSince(t *testing.T, m fixtures.Mark) {
	t.Helper()
	seen, err := world.Witness().Since(m)
	if err != nil {
		t.Fatal(err)
	}
	if !seen.Nothing() {
		t.Errorf("a refused request was seen outside:\n%s", seen)
	}
}

// connectedSince fails the test if no origin accepted a connection since m: the control of nothingSince.
func connectedSince(t *testing.T, m fixtures.Mark) {
	t.Helper()
	conns, err := world.Witness().ConnectionsSince(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(conns) == 0 {
		t.Error("no origin accepted a connection: what was it that answered?")
	}
}

// lookPath returns a program's path; scripts/setup installs all of them.
func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%v: run scripts/setup as root", err)
	}
	return path
}

// runs tells how a command that was run ended.
type result struct {
	status         int // 128+n for signal n, as a shell counts
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("status %d\nstdout: %s\nstderr: %s", r.status, r.stdout, r.stderr)
}

func isTimeout(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }
