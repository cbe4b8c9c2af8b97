// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// fakeFlag as the first argument makes the test binary a fake proxy.
const fakeFlag = "-fake-proxy"

// fake returns the argv of a fake proxy with the given behaviour.
func fake(t *testing.T, behaviour string, args ...string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{self, fakeFlag, behaviour}, args...)
}

// runFake is the fake proxy's main; the first argument after the behaviour is the port.
func runFake(behaviour string, args []string) int {
	port := os.Getenv(portVariable)
	if len(args) > 0 && args[0] != "" {
		port = args[0]
	}
	switch behaviour {
	case "serve":
		serve("127.0.0.1", port)
	case "locked":
		locked = true
		serve("127.0.0.1", port)
	case "serve6":
		serve("::1", port)
	case "share":
		serveOn(listenShared(port))
	case "expose":
		serve("0.0.0.0", port)
	case "expose6":
		serve("", port)
	case "expose-other":
		go serve("0.0.0.0", "0")
		serve("127.0.0.1", port)
	case "never":
		waitForever()
	case "report-never":
		writeFile(args[1], port)
		waitForever()
	case "exit":
		fmt.Fprintln(os.Stderr, "FATAL: bad \x1b[31mconfiguration\x1b[0m line 7")
		return 3
	case "background":
		return 0
	case "die":
		// Refuses one connection, the probe, and dies with a last word at the next.
		l := listen("127.0.0.1", port)
		if c, err := l.Accept(); err == nil {
			answer(c, "HTTP/1.1 403 Forbidden\r\n\r\n")
		}
		_, _ = l.Accept()
		fmt.Println("PANIC: the disk is full")
		return 7
	case "die-at-once":
		// A crash at the first connection looks like a refusal.
		_, _ = listen("127.0.0.1", port).Accept()
		return 9
	case "socket":
		serveOn(listenSocket(args[1]))
	case "socket-exposed":
		go serve("0.0.0.0", "0")
		serveOn(listenSocket(args[1]))
	case "prefork":
		return runPrefork(port, args[1])
	case "worker-of":
		l, err := net.FileListener(os.NewFile(3, "listener"))
		if err != nil {
			panic(err)
		}
		writeFile(args[1], fmt.Sprint(os.Getpid()))
		serveOn(l)
	case "once", "once-open", "once-silent", "once-slow":
		return runOnce(behaviour, port, args[1])
	case "answer":
		l := listen("127.0.0.1", port)
		for {
			c, err := l.Accept()
			if err != nil {
				return 1
			}
			go answer(c, args[1])
		}
	case "endless":
		c, err := listen("127.0.0.1", port).Accept()
		for err == nil {
			_, err = fmt.Fprint(c, "xxxxxxxx")
		}
		waitForever()
	case "silent":
		l := listen("127.0.0.1", port)
		for {
			if _, err := l.Accept(); err != nil { // collected only when the process ends
				return 1
			}
		}
	case "without-reuse":
		serveOn(listenWithoutReuse(port))
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		serve("127.0.0.1", port)
	case "flood":
		go func() {
			line := strings.Repeat("x", 1023) + "\n"
			for {
				fmt.Fprint(os.Stderr, line)
				fmt.Fprint(os.Stdout, line)
			}
		}()
		serve("127.0.0.1", port)
	case "fork", "fork-setsid", "fork-orphan":
		return forkAndServe(behaviour, port, args[1])
	case "parent":
		return forkParent(args[1])
	case "grandchild":
		signal.Ignore(syscall.SIGTERM)
		writeFile(args[1], fmt.Sprint(os.Getpid()))
		waitForever()
	case "orphan-maker":
		// Leaves a grandchild without parent in a session of its own.
		startGrandchild(args[1], true)
		return 0
	case "worker":
		// The parent never listens, its worker does: as nginx and apache.
		startFake(false, "serve", port)
		waitForever()
	case "report":
		writeFile(args[1], report(args[2:]))
		serve("127.0.0.1", port)
	case "bundle":
		l := listen("127.0.0.1", port)
		writeFile(args[1], "-----BEGIN CERTIFICATE-----\n")
		serveOn(l)
	}
	return 0
}

// runPrefork has a worker that listens with it and outlives it.
func runPrefork(port, pidFile string) int {
	l := listen("127.0.0.1", port)
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		panic(err)
	}
	self, _ := os.Executable()
	cmd := exec.Command(self, fakeFlag, "worker-of", "", pidFile)
	cmd.ExtraFiles = []*os.File{file}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	serveOn(l)
	return 0
}

// runOnce serves at the first start, and does as its name says at every other.
func runOnce(behaviour, port, flag string) int {
	if _, err := os.Stat(flag); err != nil {
		writeFile(flag, "")
		serve("127.0.0.1", port)
	}
	switch behaviour {
	case "once":
		return 4
	case "once-silent":
		writeFile(flag+".2", "")
		waitForever()
	}
	l := listen("127.0.0.1", port)
	if behaviour == "once-slow" {
		c, err := l.Accept() // the probe, which is left without an answer
		if err != nil {
			return 1
		}
		defer c.Close()
		writeFile(flag+".2", "")
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		go answer(c, "HTTP/1.1 200 OK\r\n\r\n")
	}
}

// forkAndServe starts a grandchild in the way the behaviour names, then serves.
func forkAndServe(behaviour, port, pidFile string) int {
	if behaviour == "fork-orphan" {
		cmd := startFake(false, "orphan-maker", "", pidFile)
		_ = cmd.Wait()
	} else {
		startGrandchild(pidFile, behaviour == "fork-setsid")
	}
	serve("127.0.0.1", port)
	return 0
}

// forkParent starts an external proxy as a library user would, and dies by the
// test's signal while it runs.
func forkParent(pidFile string) int {
	self, _ := os.Executable()
	p, err := launch(Spec{Argv: []string{self, fakeFlag, "grandchild", "", pidFile}}, place{port: 1})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-p.done
	return 0
}

func startGrandchild(pidFile string, session bool) { startFake(session, "grandchild", "", pidFile) }

func startFake(session bool, args ...string) *exec.Cmd {
	self, _ := os.Executable()
	cmd := exec.Command(self, append([]string{fakeFlag}, args...)...)
	if session {
		cmd.SysProcAttr = ownSession()
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd
}

// fakeReport is what the "report" behaviour tells about itself.
type fakeReport struct {
	Args, Environ, Descriptors []string
}

func report(args []string) string {
	r := fakeReport{Args: args, Environ: os.Environ()}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if link, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			r.Descriptors = append(r.Descriptors, e.Name()+" "+link)
		}
	}
	raw, _ := json.Marshal(r)
	return string(raw)
}

// writeFile writes in one step, so that a reader never sees half of it.
func writeFile(path, text string) {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		panic(err)
	}
}

func listen(host, port string) net.Listener {
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return l
}

func serve(host, port string) { serveOn(listen(host, port)) }

func listenSocket(path string) net.Listener {
	l, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return l
}

// answer reads a head, writes text and closes.
func answer(c net.Conn, text string) {
	defer c.Close()
	r := bufio.NewReader(c)
	for line := "x"; strings.TrimSpace(line) != ""; {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			return
		}
	}
	fmt.Fprint(c, text)
}

// locked makes serveOn ask for the user u with the password p.
var locked bool

// serveOn refuses names below .invalid, answers every other CONNECT with 200 and echoes.
func serveOn(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReader(c)
			status, known := "200 Connection established", !locked
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				switch {
				case strings.Contains(line, ".invalid:"):
					status = "403 Forbidden"
				case line == "Proxy-Authorization: Basic dTpw\r\n":
					known = true
				}
				if line == "\r\n" {
					break
				}
			}
			if !known {
				status = "407 Proxy Authentication Required"
			}
			fmt.Fprintf(c, "HTTP/1.1 %s\r\n\r\n", status)
			if status[0] != '2' {
				return
			}
			_, _ = r.WriteTo(c)
		}()
	}
}

// waitForever outlives every test. Waiting for a signal is not a deadlock to the runtime.
func waitForever() {
	never := make(chan os.Signal, 1)
	signal.Notify(never, os.Interrupt)
	<-never
}
