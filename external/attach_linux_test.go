// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// running starts a fake proxy as somebody else would, and returns its process and address.
func running(t *testing.T, behaviour string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	port := fmt.Sprint(freePort(t))
	cmd := startFake(false, append([]string{behaviour, port}, args...)...)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, "127.0.0.1:" + port
}

func awaitListener(t *testing.T, network, address string) {
	t.Helper()
	await(t, "a listener on "+address, func() bool {
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// EX-16: the same handle for a proxy that runs already; Close leaves it alone, its death is noticed.
func TestAttach(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "socket")
	tcp, addr := running(t, "serve")
	_, port, _ := net.SplitHostPort(addr)
	unix, _ := running(t, "socket", path)
	awaitListener(t, "tcp", addr)
	awaitListener(t, "unix", path)
	for name, tc := range map[string]struct {
		e   Existing
		cmd *exec.Cmd
	}{
		"TCP":    {Existing{Addr: "localhost:" + port}, tcp},
		"socket": {Existing{Socket: path}, unix},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var conns [2]net.Conn
			first, err := Attach(t.Context(), tc.e)
			if err != nil {
				t.Fatal(err)
			}
			second, err := Attach(t.Context(), tc.e)
			if err != nil {
				t.Fatal(err)
			}
			defer second.Close()
			if tc.e.Addr != "" && first.Addr() != addr || tc.e.Socket != "" && first.Addr() != "" || first.SocketPath() != tc.e.Socket {
				t.Errorf("Addr = %q, SocketPath = %q", first.Addr(), first.SocketPath())
			}
			conns[0], conns[1] = dialAttached(t, first), dialAttached(t, second)
			for _, c := range conns {
				if got := connectOver(t, c, "github.com:443"); got != 200 {
					t.Errorf("CONNECT = %d; want 200", got)
				}
			}
			if err := errors.Join(first.Close(), first.Close()); err != nil {
				t.Error(err)
			}
			awaitEOF(t, conns[0])
			if !exists(tc.cmd.Process.Pid) || second.Ready() != nil {
				t.Fatal("Close ended somebody else's proxy")
			}
			_ = tc.cmd.Process.Kill()
			<-second.Done()
			awaitEOF(t, conns[1])
			if err := second.Err(); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", tc.cmd.Process.Pid)) {
				t.Errorf("Err = %v; want ErrGone and the process", err)
			}
		})
	}
}

// A worker that goes on with the socket keeps the handle alive.
func TestAttachToWorkers(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	cmd, addr := running(t, "prefork", pidFile)
	worker := readPid(t, pidFile)
	awaitListener(t, "tcp", addr)
	h, err := Attach(t.Context(), Existing{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	f := follow(endpoint{addr: netip.MustParseAddrPort(addr)})
	defer f.stop()
	gone := make(chan string, 1)
	go func() { gone <- f.wait() }()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	await(t, "the worker is followed", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return strings.Contains(f.who, fmt.Sprintf("process %d ", worker))
	})
	if len(gone) > 0 || h.Err() != nil {
		t.Fatalf("the proxy is over, for %v, while its worker serves", h.Err())
	}
	if got := connectStatus(t, h, "github.com:443"); got != 200 {
		t.Errorf("CONNECT after the master's end = %d; want 200", got)
	}
	if p, err := os.FindProcess(worker); err != nil || p.Kill() != nil {
		t.Fatal("the worker cannot be killed")
	}
	<-gone
	<-h.Done()
	if err := h.Err(); !errors.Is(err, ErrGone) {
		t.Errorf("Err = %v; want ErrGone", err)
	}
}

func TestAttachRefuses(t *testing.T) {
	t.Parallel()
	open, openAddr := running(t, "answer", "HTTP/1.1 200 OK\r\n\r\n")
	_, silentAddr := running(t, "silent")
	awaitListener(t, "tcp", openAddr)
	awaitListener(t, "tcp", silentAddr)
	soon, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, ErrStartTimeout)
	defer cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		e    Existing
		want error
	}{
		"zero":      {t.Context(), Existing{}, ErrInvalidSpec},
		"both":      {t.Context(), Existing{Addr: openAddr, Socket: "/x"}, ErrInvalidSpec},
		"no port":   {t.Context(), Existing{Addr: "127.0.0.1"}, ErrInvalidSpec},
		"probe":     {t.Context(), Existing{Addr: openAddr, Probe: "x"}, ErrInvalidSpec},
		"open":      {t.Context(), Existing{Addr: openAddr}, ErrOpen},
		"silent":    {soon, Existing{Addr: silentAddr}, ErrStartTimeout},
		"nobody":    {t.Context(), Existing{Addr: fmt.Sprintf("127.0.0.1:%d", freePort(t))}, nil},
		"no socket": {t.Context(), Existing{Socket: filepath.Join(t.TempDir(), "none")}, os.ErrNotExist},
		"no bundle": {t.Context(), Existing{Addr: openAddr, Unfiltered: true, CABundle: "/nonexistent.pem"}, ErrInvalidSpec},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := Attach(tc.ctx, tc.e)
			if h != nil || err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("Attach = %v, %v; want %v", h, err, tc.want)
			}
		})
	}
	h, err := Attach(t.Context(), Existing{Addr: openAddr, Unfiltered: true})
	if err != nil {
		t.Fatalf("Attach to an unfiltered proxy: %v", err)
	}
	_ = h.Close()
	if !exists(open.Process.Pid) {
		t.Error("somebody else's proxy has ended")
	}
}

// A proxy whose process cannot be seen is followed in vain, and Close still ends that.
func TestFollowNobody(t *testing.T) {
	t.Parallel()
	f := follow(endpoint{socket: filepath.Join(t.TempDir(), "none")})
	done := make(chan string)
	go func() { done <- f.wait() }()
	f.stop()
	f.stop()
	if who := <-done; who != "" {
		t.Errorf("wait = %q; want nobody", who)
	}
}
