// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

// Each end of a tunnel costs its process a descriptor, so both ends live in
// processes of their own: the test binary, re-executed.
func init() {
	roles["origin"] = originRole
	roles["clients"] = clientsRole
}

// originRole accepts and holds connections, answering every byte with itself,
// until its standard input ends.
func originRole() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(struct{ io.Writer }{c}, c) }()
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}

// clientsRole opens tunnels, sends a byte through each and back, says so, and
// holds them until its standard input ends. PROXY, TARGET and COUNT tell it how.
//
// So many connections would take most of 127.0.0.1's ports from the other tests
// of this machine, for a minute more after their end. They come from an address
// of their own, and end with a reset, which leaves no TIME-WAIT behind.
func clientsRole() {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}
	count, _ := strconv.Atoi(os.Getenv("COUNT"))
	conns := make([]net.Conn, 0, count)
	request := head(os.Getenv("TARGET")) + "x"
	want := established + "x"
	buf := make([]byte, len(want))
	for i := range count {
		c, err := dialer.Dial("tcp", os.Getenv("PROXY"))
		if err == nil {
			_, err = io.WriteString(c, request)
		}
		if err == nil {
			_, err = io.ReadFull(c, buf)
		}
		if err != nil || string(buf) != want {
			fmt.Printf("tunnel %d: %v, %q\n", i, err, buf)
			return
		}
		conns = append(conns, c)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

// child runs the test binary in a role and gives its first line of output. end
// closes its standard input and waits for it.
func child(t testing.TB, role string, env ...string) (first string, end func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, roleVariable+"="+role)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, lines := false, bufio.NewReader(out)
	end = func() {
		if !ended {
			ended = true
			in.Close()
			rest, _ := io.ReadAll(lines)
			cmd.Wait()
			if text := strings.Fields(string(rest)); len(text) == 2 && text[1] != "0" {
				t.Errorf("%s: %s of %s went wrong", role, text[1], text[0])
			} else if len(text) == 2 {
				t.Logf("%s: %s, none of which went wrong", role, text[0])
			}
		}
	}
	t.Cleanup(end)
	first, err = lines.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", role, err)
	}
	return strings.TrimSpace(first), end
}

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// eventually waits until f gives at most want.
func eventually(t testing.TB, what string, want int, f func() int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		got := f()
		if got <= want {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %d, want at most %d", what, got, want)
			return
		}
		runtime.Gosched()
	}
}

// cpuTime is what the process has used so far.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// inUse is the memory that heap and stacks take after a collection.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// Not parallel: it counts what the process holds.
func TestManyIdleTunnels(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: thousands of tunnels")
	}
	const tunnels = 9500
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2*tunnels+1000 {
		t.Skipf("the descriptor limit of %d is too low for %d tunnels; raise it with ulimit -n 20000", limit.Cur, tunnels)
	}
	target, endOrigin := child(t, "origin")
	idle := runtime.NumGoroutine()
	before, memory := descriptors(t), inUse()
	h, err := BuiltIn{Config: Config{Filter: allowing(t, target)}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	began, cpu := time.Now(), cpuTime(t)
	got, endClients := child(t, "clients", "PROXY="+h.Addr(), "TARGET="+target, fmt.Sprintf("COUNT=%d", tunnels))
	if got != "ready" {
		t.Fatalf("clients: %s", got)
	}
	took, cpu := time.Since(began), cpuTime(t)-cpu
	// The listener, the child's pipes and the relay's idle pipes come on top.
	const around = 8 + relay.MaxPipeDescriptors
	held := descriptors(t) - before
	if held < 2*tunnels || held > 2*tunnels+around {
		t.Errorf("%d idle tunnels hold %d descriptors, want two each and at most %d more", tunnels, held, around)
	}
	t.Logf("%d idle tunnels set up one after the other in %v (%v of CPU each): %d descriptors, %d goroutines, %d bytes of heap and stack each",
		tunnels, took.Round(time.Millisecond), cpu/tunnels, held, runtime.NumGoroutine()-idle, (inUse()-memory)/tunnels)

	endClients()
	eventually(t, "descriptors after the clients have gone", before+8, func() int { return descriptors(t) })
	within(t, 10*time.Second, "Close", func() { h.Close() })
	endOrigin()
	eventually(t, "descriptors after Close", before, func() int { return descriptors(t) })
	eventually(t, "goroutines after Close", idle, runtime.NumGoroutine)
}

// Not parallel: it counts what the process holds.
func TestNothingLeftAfterTunnels(t *testing.T) {
	target, _ := child(t, "origin")
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)
	h, err := BuiltIn{Config: Config{Filter: allowing(t, target)}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var serving, open int
	for i := range 200 {
		if i == 1 { // what tunnels share is there from the first to the end of the proxy
			eventually(t, "goroutines after a tunnel", goroutines+1+runtime.GOMAXPROCS(0), runtime.NumGoroutine)
			serving, open = runtime.NumGoroutine(), descriptors(t)
		}
		c := dialProxy(t, h.Addr())
		if got := c.status(head(target)); got != 200 {
			t.Fatalf("tunnel %d: status %d", i, got)
		}
		c.send("x")
		expect(t, c.r, "x")
		if i%3 == 0 {
			c.SetLinger(0)
		}
		c.Close()
	}
	eventually(t, "goroutines after 200 tunnels", serving, runtime.NumGoroutine)
	eventually(t, "descriptors after 200 tunnels", open, func() int { return descriptors(t) })
	h.Close()
	eventually(t, "goroutines after Close", goroutines, runtime.NumGoroutine)
	eventually(t, "descriptors after Close", fds, func() int { return descriptors(t) })
}
