// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Nobody gets a port that is held: not who asks for it, not who takes any port, not
// another holder in another process. Who sets SO_REUSEADDR, as servers do, can listen.
func TestHeldPort(t *testing.T) {
	t.Parallel()
	held, err := choosePort(0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	if _, err := boundSocket(held.port, true); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("bind without SO_REUSEADDR: %v; want EADDRINUSE", err)
	}
	if c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(held.port)); err == nil {
		c.Close()
		t.Error("the holder accepts connections")
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(held.port))
	if err != nil {
		t.Fatalf("listen with SO_REUSEADDR: %v; want the port to be free for the child", err)
	}
	l.Close()
	if first, last := portRange("/proc/sys/net/ipv4/ip_local_port_range"); first > 2000 && held.port >= first && held.port <= last {
		t.Errorf("port %d is one of those the kernel gives to anybody, %d to %d", held.port, first, last)
	}
	held.release()
	fd, err := boundSocket(held.port, true)
	if err != nil {
		t.Fatalf("bind after the release: %v", err)
	}
	syscall.Close(fd)
}

// EX-04: while the child has not listened yet, no other program gets its port.
func TestPortIsHeldWhileTheChildStarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report")
	go Spec{Argv: fake(t, "report-never", "", path), StartTimeout: long}.Start(t.Context())
	var port int
	await(t, "the child tells its port", func() bool {
		raw, err := os.ReadFile(path)
		port, _ = strconv.Atoi(string(raw))
		return err == nil
	})
	if _, err := boundSocket(port, true); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("bind: %v; want EADDRINUSE", err)
	}
}

// A program that knows nothing of SO_REUSEADDR gets the port too: at the second try when it says what is
// wrong, at the first where Unheld is set.
func TestChildWithoutReuse(t *testing.T) {
	t.Parallel()
	for name, unheld := range map[string]bool{"says so": false, "unheld": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dial(t, start(t, Spec{Argv: fake(t, "without-reuse"), Unheld: unheld}))
		})
	}
}

// A child that met the hold and is gone already is told from one with another fault.
func TestExitBecauseOfTheHold(t *testing.T) {
	t.Parallel()
	held, err := choosePort(0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	at := place{port: held.port}
	p, err := launch(Spec{Argv: fake(t, "without-reuse")}, at)
	if err != nil {
		t.Fatal(err)
	}
	<-p.done
	var exit *ExitError
	if _, err := p.awaitReady(t.Context(), readiness{at: at, held: true}); !errors.Is(err, errHeld) {
		t.Errorf("awaitReady with a hold: %v; want errHeld", err)
	}
	if _, err := p.awaitReady(t.Context(), readiness{at: at}); !errors.As(err, &exit) {
		t.Errorf("awaitReady without a hold: %v; want an *ExitError", err)
	}
}

// holdsPort reports whether this process has a socket bound to port that is not
// connected, which nothing but a look at its descriptors tells from connections
// that linger.
func holdsPort(t *testing.T, port int) bool {
	t.Helper()
	for fd := range 1024 {
		name, err := unix.Getsockname(fd)
		if at, ok := name.(*unix.SockaddrInet4); err == nil && ok && at.Port == port {
			if _, err := unix.Getpeername(fd); errors.Is(err, unix.ENOTCONN) {
				return true
			}
		}
	}
	return false
}

const pythonProxy = `
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.send_error(403)
class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = False
Server(("127.0.0.1", {port}), Handler).serve_forever()
`

func TestPythonWithoutReuse(t *testing.T) {
	t.Parallel()
	program := realProgram(t, "python3")
	// A shim that finds the interpreter may need more environment than the child gets.
	if real, err := exec.Command(program, "-c", "import sys; print(sys.executable)").Output(); err == nil {
		program = strings.TrimSpace(string(real))
	}
	h := start(t, Spec{Argv: []string{program, "{config}"}, Config: pythonProxy})
	if got := connectStatus(t, h, "github.com:443"); got != 403 {
		t.Errorf("CONNECT = %d; want 403", got)
	}
}

func TestMitmdump(t *testing.T) {
	t.Parallel()
	program := realProgram(t, "mitmdump")
	const addon = "from mitmproxy import http\ndef http_connect(flow):\n    flow.response = http.Response.make(403)\n"
	h := start(t, Spec{
		Argv:  []string{program, "-q", "--listen-host", "127.0.0.1", "--listen-port", "{port}", "--set", "confdir={dir}", "-s", "{dir}/deny.py"},
		Files: map[string]string{"deny.py": addon}, CABundle: "{dir}/mitmproxy-ca-cert.pem",
	})
	if got := connectStatus(t, h, "github.com:443"); got != 403 {
		t.Errorf("CONNECT = %d; want 403", got)
	}
	if raw, err := os.ReadFile(h.CABundle()); err != nil || !strings.Contains(string(raw), "BEGIN CERTIFICATE") {
		t.Errorf("CABundle %s: %v", h.CABundle(), err)
	}
}

// EX-05: programs as they are installed, or told to admit everything, are open.
func TestOpenPrograms(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ program, config string }{
		{"tinyproxy -d -c {config}", "Listen 127.0.0.1\nPort {port}\nLogLevel Info\n"},
		{"squid -N -f {config}", strings.Replace(strings.Replace(squidConfig, "deny all", "allow all", 1), "${service_name}", "{port}", 1)},
		{"privoxy --no-daemon {config}", "listen-address 127.0.0.1:{port}\n"},
		{"mitmdump --listen-host 127.0.0.1 --listen-port {port} --set confdir={dir}", ""},
	} {
		name, _, _ := strings.Cut(tc.program, " ")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Spec{Argv: strings.Fields(tc.program), Config: tc.config, StartTimeout: long}
			s.Argv[0] = realProgram(t, name)
			if err := startFails(t, s); !errors.Is(err, ErrOpen) {
				t.Errorf("Start: %v; want ErrOpen", err)
			} else {
				t.Log(err)
			}
			s.Unfiltered = true
			start(t, s)
		})
	}
}
