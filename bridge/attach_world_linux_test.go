// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// Roles of the test binary in a container, which here is namespaces without a network.
func init() {
	if len(os.Args) < 3 || os.Args[1] != "container" {
		return
	}
	Init()
	var err error
	switch os.Args[2] {
	case "attach":
		err = attachHelper(os.Args[3:])
	case "hold":
		err = holdHelper(os.Args[3])
	case "peer":
		err = hostilePeer(os.Args[3], os.Args[4])
	case "keeper":
		err = keeper(os.Args[3], os.Args[4])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(ExitFailed)
	}
	os.Exit(0)
}

// attachHelper is a container's first process: SOCKET OPTIONS COMMAND ARG….
func attachHelper(args []string) error {
	c := AttachConfig{Socket: args[0]}
	for o := range strings.SplitSeq(args[1], ",") {
		switch {
		case o == "transparent":
			c.Transparent = true
		case o == "powerless":
			if err := powerless(); err != nil {
				return err
			}
		case o == "network":
			c.OtherNetwork = true
		case o != "":
			c.Weaker = append(c.Weaker, Door(o))
		}
	}
	a, err := Attach(context.Background(), c)
	if err != nil {
		return err
	}
	return a.Exec(args[2:], os.Environ())
}

// powerless takes the capabilities from this thread that a container may not have.
func powerless() error {
	runtime.LockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	_, err := loopback(true)
	return errors.Join(err, unix.Capset(&hdr, &none[0]))
}

// holdHelper attaches as a library does, and says what becomes of it: it closes the
// attachment at the end of its input.
func holdHelper(socket string) error {
	a, err := Attach(context.Background(), AttachConfig{Socket: socket})
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("HTTPS_PROXY=http://127.0.0.1:%d", a.Port()); !slices.Contains(a.Environ(nil), want) {
		return fmt.Errorf("the environment has no %s", want)
	}
	fmt.Println("up")
	var closing atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		closing.Store(true)
		_ = errors.Join(a.Close(), a.Close())
	}()
	<-a.Done()
	gone := func() bool {
		c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", a.Port()))
		if err == nil {
			c.Close()
		}
		return errors.Is(err, unix.ECONNREFUSED)
	}
	if closing.Load() {
		if !eventually(gone) { // the proxy must learn of it first
			return errors.New("the proxy is still there after Close")
		}
		fmt.Println("closed")
		return nil
	}
	if !gone() {
		return errors.New("the proxy is still there after Done")
	}
	fmt.Println("let go")
	return nil
}

// container returns a command of the test binary in namespaces of its own.
func container(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	sys, err := ownNamespaces()
	if err != nil {
		t.Fatal(err)
	}
	sys.AmbientCaps = append(sys.AmbientCaps, unix.CAP_NET_RAW) // a hostile one makes raw sockets
	sys.Pdeathsig = 0                                           // it ends with its input or its proxy, and no thread of this process does
	cmd := exec.CommandContext(t.Context(), self, append([]string{"container"}, args...)...)
	cmd.SysProcAttr, cmd.Dir = sys, "/"
	return cmd
}

// control starts an admission on w that must work.
func (w *world) control(t *testing.T, a Admission) *Admitting {
	t.Helper()
	if a.Path == "" {
		a.Path = filepath.Join(publicDir(t), "c.sock")
	}
	in, err := a.Start(t.Context(), w.Handle)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if exists(in.Path()) {
			t.Errorf("%s is there after Close", in.Path())
		}
	})
	return in
}

// publicDir is a directory that other users can enter.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sallyport-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// output runs cmd and wants its exit status.
func output(t *testing.T, cmd *exec.Cmd, status int) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != status {
		t.Errorf("%q ended with %v, want status %d; it said %q", cmd.Args[2:], err, status, out)
	}
	return string(out)
}

// sandboxes waits until n sandboxes are there.
func (a *Admitting) sandboxes(t *testing.T, n int) {
	t.Helper()
	if !eventually(func() bool { return a.Sandboxes() == n }) {
		t.Errorf("there are %d sandboxes, want %d", a.Sandboxes(), n)
	}
}

// lines is a logger whose lines can be awaited.
func lines(t *testing.T) (*slog.Logger, *bufio.Reader) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if err := r.SetReadDeadline(deadline()); err != nil {
		t.Fatal(err)
	}
	return slog.New(slog.NewTextHandler(w, nil)), bufio.NewReader(r)
}
