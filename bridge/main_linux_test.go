// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

func TestMain(m *testing.M) {
	Init()
	if len(os.Args) > 2 && os.Args[1] == "helper" {
		os.Exit(helper(os.Args[2], os.Args[3:]))
	}
	// With the race detector every process would sleep for a second before it ends.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	goroutines, fds := runtime.NumGoroutine(), countFDs()
	status := m.Run()
	if !eventually(func() bool {
		return runtime.NumGoroutine() <= goroutines && countFDs() <= fds
	}) {
		fmt.Fprintf(os.Stderr, "leaked: %d goroutines, before %d; %d descriptors, before %d\n",
			runtime.NumGoroutine(), goroutines, countFDs(), fds)
		stacks := make([]byte, 1<<20)
		os.Stderr.Write(stacks[:runtime.Stack(stacks, true)])
		status = 1
	}
	os.Exit(status)
}

// patience bounds every wait. It is reached only when something is broken, so no
// test depends on how busy the machine is.
const patience = 20 * time.Second

// eventually reports whether ok came true.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			return ok()
		}
	}
	return true
}

func countFDs() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	n := 0
	for _, name := range names {
		// The runtime keeps one epoll and one eventfd, from their first use on.
		to, _ := os.Readlink("/proc/self/fd/" + name.Name())
		if !strings.HasPrefix(to, "anon_inode:[event") {
			n++
		}
	}
	return n
}

// self is the test binary, for commands inside and outside a sandbox: the
// process that executes it is one already. Its path need not be in sight.
const self = "/proc/self/exe"

// helper is what the test binary does as a command.
func helper(what string, args []string) int {
	var err error
	switch what {
	case "look":
		err = look()
	case "connect":
		err = connectHelper(args[0], false)
	case "hold":
		fmt.Println("up")
		if err = connectHelper(args[0], true); err == nil {
			err = connectHelper(args[0], true)
		}
	case "crowd":
		err = crowd(args[0])
	case "dial":
		var c net.Conn
		if c, err = net.DialTimeout(args[0], args[1], patience); err == nil {
			c.Close()
		}
	case "parent":
		err = parent(Mode(args[0]), args[1:])
	case "adopter":
		err = adopter(args)
	case "strange-root":
		err = inStrangeRoot(Mode(args[0]), args[1], args[2:])
	case "visit":
		err = visit(args)
	case "no-ipv6":
		err = withoutIPv6(args[0] == "tcp")
	case "again":
		err = openAgain()
	case "peer":
		err = actPeer(args[0])
	case "pry":
		err = pry()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// sight is what a process sees of its surroundings.
type sight struct {
	Status     map[string]string
	Inherited  []string
	NetNS      string
	Interfaces []string
	Env        []string
	PID, SID   int
	Files      map[string]bool // which paths of a few can be opened for writing
}

func look() error {
	s := sight{Status: map[string]string{}, Env: os.Environ(), PID: os.Getpid(), Files: map[string]bool{}}
	s.SID, _ = unix.Getsid(0)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		k, v, _ := strings.Cut(line, ":")
		s.Status[k] = strings.TrimSpace(v)
	}
	err = eachFD(func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			s.Inherited = append(s.Inherited, fmt.Sprint(fd))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.NetNS, err = namespace("net"); err != nil {
		return err
	}
	dev, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(dev)) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			s.Interfaces = append(s.Interfaces, strings.TrimSpace(name))
		}
	}
	for _, name := range []string{"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/1/mem"} {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if s.Files[name] = err == nil; err == nil {
			f.Close()
		}
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// connectHelper asks the proxy of the environment for a tunnel to target, and
// prints the status and the first line that comes through; hold then waits for the end.
func connectHelper(target string, hold bool) error {
	c, err := dialProxy()
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", target)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		fmt.Println(res.StatusCode)
		return nil
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	fmt.Print(res.StatusCode, " ", line)
	if hold {
		_, _ = io.Copy(io.Discard, r)
		fmt.Println("end")
	}
	return nil
}

func dialProxy() (net.Conn, error) {
	proxy, err := url.Parse(os.Getenv("HTTPS_PROXY"))
	if err != nil {
		return nil, err
	}
	return net.DialTimeout("tcp", proxy.Host, patience)
}

// crowd is connectHelper while another connection to the proxy, older, is there.
func crowd(target string) error {
	c, err := dialProxy()
	if err != nil {
		return err
	}
	defer c.Close()
	return connectHelper(target, false)
}

// parent runs a command in a sandbox, as a program that is about to be killed.
func parent(m Mode, argv []string) error {
	h, err := proxycore.BuiltIn{Port: -1}.Start(context.Background())
	if err != nil {
		return err
	}
	cmd, err := Sandbox{Mode: m}.Command(context.Background(), h, argv[0], argv[1:]...)
	if err != nil {
		return err
	}
	cmd.Stdout = os.Stdout
	return cmd.Run()
}

// forEachMode runs test once for each kind of sandbox, where it works.
func forEachMode(t *testing.T, test func(t *testing.T, m Mode)) {
	t.Helper()
	for _, m := range []Mode{Bwrap, UserNS} {
		t.Run(string(m), func(t *testing.T) {
			if _, err := Probe(t.Context(), m); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("in CI every sandbox mode must work: %v", err)
				}
				t.Skipf("not tested: %v", err)
			}
			test(t, m)
		})
	}
}

// world is an origin on the host's loopback and a proxy that admits it.
type world struct {
	*proxycore.Handle
	filter  *proxycore.Filter
	origin  string // host:port; greets with "hello"
	records chan proxycore.Record
}

func newWorld(t *testing.T) *world {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		greet(l)
	}()
	w := &world{origin: l.Addr().String(), records: make(chan proxycore.Record, 1000)}
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{w.origin}})
	if err != nil {
		t.Fatal(err)
	}
	w.filter = f
	w.Handle, err = proxycore.BuiltIn{Port: -1, Config: proxycore.Config{
		Filter: f,
		Record: func(r proxycore.Record) error { w.records <- r; return nil },
	}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("Close of the handle: %v", err)
		}
		l.Close()
		<-over
	})
	return w
}

// greet says hello to everybody and waits until they go.
func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.WriteString(c, "hello\n")
			_, _ = io.Copy(io.Discard, c)
		}()
	}
}

// command is Sandbox.Command that must not fail.
func (w *world) command(t *testing.T, s Sandbox, argv ...string) *exec.Cmd {
	t.Helper()
	cmd, err := s.Command(t.Context(), w.Handle, argv[0], argv[1:]...)
	if err != nil {
		t.Fatalf("Command(%q): %v", argv, err)
	}
	cmd.Dir = "/"
	return cmd
}

// processes returns the ids of the running processes that have arg as an argument.
func processes(t *testing.T, arg string) (pids []string) {
	t.Helper()
	names, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		line, err := os.ReadFile("/proc/" + n.Name() + "/cmdline")
		if err == nil && strings.Contains("\x00"+string(line), "\x00"+arg+"\x00") {
			pids = append(pids, n.Name())
		}
	}
	return pids
}
