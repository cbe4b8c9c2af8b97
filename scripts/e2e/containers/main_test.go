// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/sallyport-dev/sallyport/fixtures"
	"github.com/sallyport-dev/sallyport/fixtures/containers"
)

// Hosts, each with an address of its own, at which somebody says which address that is.
const (
	hostFormat = "host-%d.example.net"
	hostCount  = 4
	hostPort   = 7000
)

func hostName(i int) string     { return fmt.Sprintf(hostFormat, i) }
func hostAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{93, 184, 215, byte(i + 1)}) }

// Where the programs are in the image.
const (
	sallyportPath = "/sallyport"
	visitorPath   = "/visitor"
)

// Set by TestMain for all tests.
var (
	world     *fixtures.World
	engine    *containers.Engine // nil: there is none
	noEngine  error              // why
	image     string             // with both programs
	sallyport string             // outside of the image
)

func TestMain(m *testing.M) {
	status, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e/containers:", err)
		status = 1
	}
	os.Exit(status)
}

func testMain(m *testing.M) (status int, err error) {
	if err := fixtures.Enter(); err != nil {
		return 1, err
	}
	if world, err = fixtures.NewWorld(fixtures.Options{}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	for i := range hostCount {
		world.SetHost(hostName(i), hostAddr(i))
	}
	_, err = world.Origin(netip.AddrPortFrom(netip.IPv4Unspecified(), hostPort), fixtures.BehaviorFunc(func(c *fixtures.Conn) {
		fmt.Fprintln(c, c.Local().Addr())
	}))
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "sallyport-containers-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	if engine, err = containers.Open(ctx); errors.Is(err, containers.ErrNoEngine) {
		noEngine = err
		return m.Run(), nil
	} else if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	const module = "github.com/sallyport-dev/sallyport/"
	programs, err := containers.Static(ctx, dir, module+"bridge/cmd/sallyport", module+"scripts/e2e/visitor")
	if err != nil {
		return 1, err
	}
	sallyport = programs[0]
	image, err = engine.Build(ctx, containers.Image{Files: map[string]string{sallyportPath: programs[0], visitorPath: programs[1]}})
	if err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// needEngine skips the test where there is no engine.
func needEngine(t *testing.T) {
	t.Helper()
	if engine == nil {
		t.Skip(noEngine)
	}
}
