// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backend

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/external"
)

// Program finds an installed proxy. In CI it must be there; elsewhere the test is skipped, and says so
// even without -v.
func Program(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed, and CI must not pass without it", name)
	}
	fmt.Fprintf(os.Stderr, "backends: SKIPPED: %s is not installed\n", name)
	t.Skipf("%s is not installed", name)
	return ""
}

// Version returns the first line that "program flag" prints.
func Version(t *testing.T, program, flag string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, flag).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v", program, flag, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

// External starts spec for c and returns the instance, which can be killed. The program is the backend's own. It is
// not asked whether it refuses anything before it is served: that is for the suite to find out.
func External(ctx context.Context, c conformance.Config, spec external.Spec) (*conformance.Instance, error) {
	if err := Plain(c); err != nil {
		return nil, err
	}
	spec.Unfiltered = true
	return Launched(ctx, c, spec)
}

// Launched is External for a backend whose spec is that of c.Child, if there is one.
func Launched(ctx context.Context, c conformance.Config, spec external.Spec) (*conformance.Instance, error) {
	if c.SocketPath != "" {
		return nil, errors.New("backends: this proxy makes no unix socket")
	}
	mark := rand.Text()
	spec.Env = append(spec.Env, MarkVariable+"="+mark)
	spec.Output = c.Log
	spec.Port = c.Port
	h, err := spec.Start(ctx)
	if err != nil {
		return nil, err
	}
	i := Instance(h)
	i.Kill = func(ctx context.Context) error { return KillMarked(ctx, mark, h.Done()) }
	return i, nil
}

// WriteFile writes a configuration file into the instance's directory. The proxies read it before they
// give up root, so the directory's mode is no obstacle.
func WriteFile(dir, name, text string) (string, error) {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("backends: configuration: %w", err)
	}
	return path, nil
}

// FreePort picks a port for a configuration file that cannot be told one otherwise. If another process takes it
// before the proxy does, the start fails.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("backends: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// marked returns the processes with entry in their environment.
func marked(entry string) ([]int, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("backends: %w", err)
	}
	var pids []int
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile("/proc/" + d.Name() + "/environ")
		if err != nil {
			continue // it has ended since, or is somebody else's
		}
		if bytes.Contains(append([]byte{0}, append(env, 0)...), []byte("\x00"+entry+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
