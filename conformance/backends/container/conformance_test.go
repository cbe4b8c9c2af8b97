// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package container puts the built-in proxy through the suite from inside containers without a network, which reach
// it over a mounted control socket: "sallyport attach" is the first process in there. The image is made FROM scratch
// of two static programs, that and the suite's own probe. Clients outside of containers use a TCP listener.
//
// The docker command that a container was started with can be killed, and leaves the container running. What stands
// for it here (see launch_test.go) does what an orchestrator does: it has the container removed then.
package container

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/fixtures/containers"
	"github.com/sallyport-dev/sallyport/proxycore"
)

func TestMain(m *testing.M) {
	runLauncher()
	backend.Main(m)
}

// TestConformance is for whoever runs this: root is root in the container, too. Anybody else (of the group docker) has
// his own user id in there, because root's has no meaning in his fake Internet. For root, what a sandbox must keep is
// tried once more with a container whose user is not root.
func TestConformance(t *testing.T) {
	s := suite{image: image(t), uid: os.Getuid()}
	features := []conformance.Feature{conformance.TCP, conformance.DeathReport, conformance.Sandbox}
	run := func(t *testing.T, options ...conformance.Option) {
		conformance.Run(t, conformance.Backend{
			Name:     "container",
			Version:  "development",
			Features: backend.ChainFeatures(features...),
			Start:    s.start,
		}, options...)
	}
	if s.uid != 0 {
		run(t, backend.Reports("SANDBOX-*")...)
		return
	}
	if len(backend.Reports()) == 0 { // a report is about one of them
		t.Run("ordinary user", func(t *testing.T) {
			s.uid = 5 // games on every Debian, here only a number
			run(t, conformance.Select("SANDBOX-*"))
			s.uid = 0
		})
	}
	// A capability that a container adds is root's.
	features = append(features, conformance.Transparent)
	run(t, backend.Reports("SANDBOX-*", "TRANSPARENT-*")...)
}

// Programs of the image, and where they are in it.
const (
	attachPackage = "github.com/sallyport-dev/sallyport/bridge/cmd/sallyport"
	attachPath    = "/sallyport"
	probePackage  = "github.com/sallyport-dev/sallyport/conformance/cmd/egressconform"
	probePath     = "/probe"
	socketDir     = "/run/sallyport"
	socketName    = "control.sock"
)

// image builds the image, which is removed with the test.
func image(t *testing.T) string {
	t.Helper()
	backend.Program(t, "docker")
	e, err := containers.Open(t.Context())
	if errors.Is(err, containers.ErrNoEngine) && os.Getenv("CI") != "true" {
		fmt.Fprintln(os.Stderr, "backends: SKIPPED:", err)
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	programs, err := containers.Static(t.Context(), t.TempDir(), attachPackage, probePackage)
	if err != nil {
		t.Fatal(err)
	}
	name, err := e.Build(t.Context(), containers.Image{
		Files: map[string]string{attachPath: programs[0], probePath: programs[1]}, Directories: []string{"/tmp"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// suite is one kind of container.
type suite struct {
	image string
	uid   int
}

func (s suite) start(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
	if c.SocketPath != "" {
		return nil, errors.New("backends: the control socket is no proxy's socket, and there is no other")
	}
	plain := c
	plain.Transparent = false // of the containers, not of the proxy
	b, err := backend.Chaining(plain)
	if err != nil {
		return nil, err
	}
	kill := backend.Mortal(&b)
	h, err := b.Start(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := s.admit(ctx, h, c)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	i := backend.Instance(h)
	i.Kill = func(ctx context.Context) error { return kill(ctx, i) }
	i.Launch = func(_ context.Context, l conformance.LaunchConfig) (*exec.Cmd, error) {
		return s.launch(dir, c.Transparent, l)
	}
	return i, nil
}

// admit makes the control socket in a directory of its own, which is what the containers mount.
func (s suite) admit(ctx context.Context, h *proxycore.Handle, c conformance.Config) (string, error) {
	dir := filepath.Join(c.Dir, "control")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("backends: a directory to mount: %w", err)
	}
	a := bridge.Admission{Path: filepath.Join(dir, socketName), Name: "suite", Transparent: c.Transparent}
	if s.uid != os.Getuid() {
		a.AllowUIDs = []uint32{uint32(s.uid)}
	}
	if _, err := a.Start(ctx, h); err != nil { // ends with h
		return "", err
	}
	return dir, nil
}

func (s suite) launch(dir string, transparent bool, l conformance.LaunchConfig) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("backends: finding the test binary: %w", err)
	}
	if l.Path != self {
		return nil, fmt.Errorf("backends: %s is not in the image, only the probe is", l.Path)
	}
	config := containers.Config{
		Image: s.image, User: strconv.Itoa(s.uid), Env: l.Env,
		Command: []string{attachPath, "attach", "--socket", socketDir + "/" + socketName},
		Mounts:  []containers.Mount{{Host: dir, Target: socketDir, ReadOnly: true}},
	}
	if transparent {
		config.Command = append(config.Command, "--transparent")
		config.AddCapabilities, config.IPv6 = []string{"NET_ADMIN"}, true
	}
	config.Command = append(append(config.Command, "--", probePath), l.Args...)
	return launcher(self, config, "suite-"+rand.Text()), nil
}
