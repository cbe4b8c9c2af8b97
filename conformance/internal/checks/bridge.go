// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

func bridgeChecks() []check.Check {
	needs := []string{"unix"}
	return []check.Check{
		{ID: "BRIDGE-001.serves", Summary: "the socket exists as long as the instance lives, and leads to the proxy", Needs: needs, Run: socketServes},
		{ID: "BRIDGE-001.denies", Summary: "the policy holds at the socket too", Needs: needs, Run: socketDenies},
		{ID: "BRIDGE-002.gone", Summary: "the socket is gone the moment Stop returns", Needs: needs, Run: socketGone},
		{ID: "BRIDGE-003.stale", Summary: "a dead socket at the path does not stop a start", Needs: needs, Run: staleSocket},
		{ID: "BRIDGE-004.regular-file", Summary: "a file at the path is an error and stays", Needs: needs, Run: foreign("file", plantFile)},
		{ID: "BRIDGE-004.directory", Summary: "a directory at the path is an error and stays", Needs: needs, Run: foreign("directory", plantDirectory)},
		{ID: "BRIDGE-004.symlink", Summary: "a symbolic link at the path is an error and stays, and so does its target", Needs: needs, Run: foreign("symbolic link", plantLink)},
		{ID: "BRIDGE-005.live", Summary: "a live socket at the path is an error and stays alive", Needs: needs, Run: liveSocket},
		{ID: "BRIDGE-006.mode", Summary: "nobody else may connect", Needs: needs, Run: socketMode},
		{ID: "BRIDGE-007.successor", Summary: "Stop leaves what took the socket's place", Needs: needs, Run: successor},
		{ID: "BRIDGE-008.half-close", Summary: "both ends of a half-close pass the socket", Needs: needs, Run: socketHalfClose},
		{ID: "BRIDGE-009.long-path", Summary: "a path beyond the limit of the system is an error", Needs: needs, Run: longPath},
		{ID: "BRIDGE-010.unclaimed", Summary: "a backend without sockets that is asked for one returns an error", Unclaimed: "unix", Run: noSocket},
		{ID: "BRIDGE-011.failed-start", Summary: "a start that failed leaves no socket", Needs: needs, Run: failedStartSocket},
	}
}

// socketDir makes a directory of the check's own, with a short path.
func socketDir(x *check.X) string {
	dir, err := os.MkdirTemp("", "eg")
	if err != nil {
		x.Abort("a directory for the socket: %v", err)
	}
	x.Defer(func() { os.RemoveAll(dir) })
	return dir
}

func withSocket(path string) check.Config {
	return check.Config{Allow: []string{check.AllowedHost}, SocketPath: path}
}

// through is a client's view of the socket of p.
func through(x *check.X, path string) *check.Proxy {
	p := x.Core()
	inst := *p.Instance
	inst.Addr = &net.UnixAddr{Name: path, Net: "unix"}
	p.Instance = &inst
	return p
}

func startSocket(x *check.X) (*check.Proxy, string) {
	path := filepath.Join(socketDir(x), "s")
	return x.MustStart(withSocket(path)), path
}

func isSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is no socket but %v", path, info.Mode())
	}
	return nil
}

func socketServes(x *check.X) {
	p, path := startSocket(x)
	x.Saw(oracle.Socket).Expect(isSocket(path)).To(Succeed())
	x.Saw(oracle.Socket).Expect(p.SocketPath).To(Equal(path), "the path the instance reports")
	x.Control(through(x, path), "through the socket")
	x.Saw(oracle.Socket).Expect(isSocket(path)).To(Succeed(), "after use")
}

func socketDenies(x *check.X) {
	_, path := startSocket(x)
	p := through(x, path)
	x.Control(p, "before")
	mark := x.Mark()
	r := x.Client(p).Ask(check.DeniedTarget)
	seen := x.Since(mark, p)
	x.Line("Got", "%s", r)
	x.Line("Origin", "%s", seen.Origin())
	noDial(x, seen)
	noQuery(x, seen)
	x.Saw(oracle.ClientStatus).Expect(r.Status).To(Equal(403), "answer: %s", r)
	x.Control(p, "after")
}

func socketGone(x *check.X) {
	p, path := startSocket(x)
	x.Control(through(x, path), "before")
	mustEnd(x, p)
	_, err := os.Lstat(path)
	x.Saw(oracle.Socket).Expect(os.IsNotExist(err)).To(BeTrue(), "%s after Stop: %v", path, err)
}

// staleSocket leaves what a process that was killed leaves: a socket nobody listens on.
func staleSocket(x *check.X) {
	path := filepath.Join(socketDir(x), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		x.Abort("making a dead socket: %v", err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	_, err = x.Start(withSocket(path))
	x.Saw(oracle.Socket).Expect(err).NotTo(HaveOccurred(), "starting over a dead socket")
	x.Control(through(x, path), "through the socket")
}

func plantFile(x *check.X, path string) func() error {
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		x.Abort("%v", err)
	}
	return func() error { return content(path) }
}

func content(path string) error {
	b, err := os.ReadFile(path)
	if err == nil && string(b) != "mine" {
		err = fmt.Errorf("%s was changed", path)
	}
	return err
}

func plantDirectory(x *check.X, path string) func() error {
	if err := os.Mkdir(path, 0o700); err != nil {
		x.Abort("%v", err)
	}
	inner := plantFile(x, filepath.Join(path, "file"))
	return inner
}

func plantLink(x *check.X, path string) func() error {
	target := path + "-target"
	inner := plantFile(x, target)
	if err := os.Symlink(target, path); err != nil {
		x.Abort("%v", err)
	}
	return func() error {
		if got, err := os.Readlink(path); err != nil || got != target {
			return fmt.Errorf("%s is no longer the link it was: %w", path, err)
		}
		return inner()
	}
}

// foreign plants something at the path and verifies that the start fails and the thing is left alone.
func foreign(what string, plant func(*check.X, string) func() error) func(*check.X) {
	return func(x *check.X) {
		path := filepath.Join(socketDir(x), "s")
		intact := plant(x, path)
		p, err := x.Start(withSocket(path))
		x.Line("Got", "%v", err)
		if err == nil {
			x.Note(oracle.Socket, "an instance runs though its socket's path is a %s of somebody's", what)
			p.End()
		}
		if err := intact(); err != nil {
			x.Note(oracle.Socket, "the %s at the path was not left alone: %v", what, err)
		}
	}
}

func liveSocket(x *check.X) {
	path := filepath.Join(socketDir(x), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		x.Abort("making a live socket: %v", err)
	}
	defer l.Close()
	accepted := make(chan struct{}, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
			accepted <- struct{}{}
		}
	}()
	p, err := x.Start(withSocket(path))
	x.Line("Got", "%v", err)
	if err == nil {
		x.Note(oracle.Socket, "an instance runs though somebody listens at its socket's path")
		p.End()
	}
	for len(accepted) > 0 {
		<-accepted // the backend may have looked whether it is alive
	}
	c, err := net.DialTimeout("unix", path, x.Bound())
	x.Saw(oracle.Socket).Expect(err).NotTo(HaveOccurred(), "the live socket after the attempt")
	c.Close()
	select {
	case <-accepted:
	case <-time.After(x.Bound()):
		x.Fail(oracle.Socket, "somebody else answers at the path of the live socket")
	}
}

func socketMode(x *check.X) {
	_, path := startSocket(x)
	info, err := os.Lstat(path)
	x.Saw(oracle.Socket).Expect(err).NotTo(HaveOccurred())
	x.Line("Got", "%v", info.Mode())
	x.Saw(oracle.Socket).Expect(info.Mode().Perm()&0o077).To(BeZero(), "permissions of group and others in %v", info.Mode())
}

func successor(x *check.X) {
	p, path := startSocket(x)
	if err := os.Remove(path); err != nil {
		x.Fail(oracle.Socket, "no socket at %s: %v", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		x.Abort("taking the socket's place: %v", err)
	}
	defer l.Close()
	mustEnd(x, p)
	x.Saw(oracle.Socket).Expect(isSocket(path)).To(Succeed(), "what took the socket's place")
}

func socketHalfClose(x *check.X) {
	_, path := startSocket(x)
	t := x.Tunnel(through(x, path))
	t.Send("question")
	t.CloseWrite()
	got, err := x.OriginEnd(t.Origin)
	x.Saw(oracle.OriginStream).Expect(err).NotTo(HaveOccurred())
	x.Saw(oracle.OriginStream).Expect(string(got)).To(Equal("question"))
	fmt.Fprint(t.Origin, "reply")
	t.Origin.CloseWrite()
	x.Saw(oracle.ClientStream).Expect(t.Expect("reply")).To(Succeed())
	_, err = t.End(x.Bound())
	x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred())
}

// longPath asks for a path no system can bind. What must not happen is an instance whose socket is
// elsewhere, or nowhere.
func longPath(x *check.X) {
	dir := filepath.Join(socketDir(x), strings.Repeat("d", 100))
	if err := os.Mkdir(dir, 0o700); err != nil {
		x.Abort("%v", err)
	}
	path := filepath.Join(dir, "socket")
	p, err := x.Start(withSocket(path))
	x.Line("Got", "%v", err)
	if err != nil {
		return
	}
	// Some systems reach such a path through a directory descriptor: then it has to be there and work.
	x.Saw(oracle.Socket).Expect(isSocket(path)).To(Succeed(), "the socket of an instance that has started")
	p.End()
}

func noSocket(x *check.X) {
	path := filepath.Join(socketDir(x), "s")
	p, err := x.Start(withSocket(path))
	x.Line("Got", "%v", err)
	if err == nil {
		c, dialErr := probe.Dial(&net.UnixAddr{Name: path, Net: "unix"}, x.Bound())
		if dialErr == nil {
			c.Close()
		}
		p.End()
		x.Fail(oracle.Socket, "an instance runs without the socket it was asked for (dialling it: %v)", dialErr)
	}
}
