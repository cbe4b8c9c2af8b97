// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport-dev/sallyport/fixtures"
	"github.com/sallyport-dev/sallyport/fixtures/containers"
)

// ordinary is the user of containers that are not root's.
const ordinary = "1000"

// proxy is one "sallyport proxy" with control sockets, each in a directory that a container mounts.
type proxy struct {
	dir string
}

// startProxy starts it with a control socket of each name, whose policy admits the host of that number.
func startProxy(t *testing.T, policies map[string]int, args ...string) *proxy {
	t.Helper()
	p := &proxy{dir: shortDir(t)}
	args = append([]string{"proxy", "--log", p.log(), "--control-uid", ordinary}, args...)
	for name, host := range policies {
		if err := os.Mkdir(p.mount(name), 0o755); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--control", filepath.Join(p.mount(name), name+".sock")+"="+policyFile(t, p.dir, name, host))
	}
	start(t, args...)
	return p
}

func (p *proxy) log() string              { return filepath.Join(p.dir, "log") }
func (p *proxy) mount(name string) string { return filepath.Join(p.dir, name) }

// shortDir is a directory whose sockets have paths that are short enough, and that everybody may enter.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "attach-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func policyFile(t *testing.T, dir, name string, host int) string {
	t.Helper()
	path := filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, "allow: [\"%s:%d\"]\n", hostName(host), hostPort), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs sallyport until the test is over, and returns when it is ready.
func start(t *testing.T, args ...string) {
	t.Helper()
	var stderr bytes.Buffer
	c := exec.Command(sallyport, args...)
	c.Stderr = &stderr
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.HasPrefix(line, "{") {
		t.Fatalf("sallyport %s: %v, %v\n%s", strings.Join(args, " "), err, c.Wait(), &stderr)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil {
			t.Errorf("sallyport proxy: %v\n%s", err, &stderr)
		}
	})
}

// attach is a container that runs command by "sallyport attach" at the control socket called name.
func (p *proxy) attach(name, user string, transparent bool, command ...string) containers.Config {
	args := []string{sallyportPath, "attach", "--socket", "/run/sallyport/" + name + ".sock"}
	c := containers.Config{
		Image: image, User: user, ReadOnly: true,
		Mounts: []containers.Mount{{Host: p.mount(name), Target: "/run/sallyport", ReadOnly: true}},
	}
	if transparent {
		args, c.AddCapabilities, c.IPv6 = append(args, "--transparent"), []string{"NET_ADMIN"}, true
	}
	c.Command = append(append(args, "--"), command...)
	return c
}

// seek is the program that looks for every host, past the proxy and through it.
func seek() []string {
	return []string{visitorPath, "seek", hostFormat, fmt.Sprint(hostCount), fmt.Sprint(hostPort)}
}

// A meeting is what visitor tells of one host: which address was reached past the proxy, and which through it.
type meeting struct {
	Name    string
	Answers []string
	Why     string
}

// found judges a container that ran seek: only the host numbered only was found, through the proxy and, if transparent,
// past it; -1 is none.
func found(t *testing.T, what string, r containers.Result, only int, transparent bool) {
	t.Helper()
	_, text, _ := strings.Cut(r.Stdout, "ready\n")
	var met []meeting
	if err := json.Unmarshal([]byte(text), &met); err != nil || r.Status != 0 || len(met) != hostCount {
		t.Errorf("%s: %v\n%s", what, err, r)
		return
	}
	for i, m := range met {
		var past, through string
		if i == only {
			through = hostAddr(i).String()
			if transparent {
				past = through
			}
		}
		if m.Answers[0] != past || m.Answers[1] != through {
			t.Errorf("%s: %s leads to %q (%s), want %q past the proxy and %q through it", what, m.Name, m.Answers, m.Why, past, through)
		}
	}
}

// decision is one line of the log.
type decision struct {
	Sandbox, Method, Host, Decision, Reason string
}

func (p *proxy) decisions(t *testing.T) []decision {
	t.Helper()
	text, err := os.ReadFile(p.log())
	if err != nil {
		t.Fatal(err)
	}
	var all []decision
	for line := range bytes.Lines(text) {
		var d decision
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatalf("the log holds %q: %v", line, err)
		}
		all = append(all, d)
	}
	return all
}

// mark notes where the witness's record is now.
func mark(t *testing.T) fixtures.Mark {
	t.Helper()
	m, err := world.Witness().Mark()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// onlySince fails the test if since m anything but these hosts was asked for, or connected to more or less often than
// said.
func onlySince(t *testing.T, m fixtures.Mark, times map[int]int) {
	t.Helper()
	e, err := world.Witness().Since(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range e.Queries {
		ok := false
		for i := range times {
			ok = ok || q.Name == hostName(i)
		}
		if !ok {
			t.Errorf("a query got out: %s", q)
		}
	}
	for _, c := range e.Connections {
		for i := range hostCount {
			if c.Local().Addr() == hostAddr(i) {
				times[i]--
			}
		}
	}
	for i, n := range times {
		if n != 0 {
			t.Errorf("%s: %d connections fewer than there should be", hostName(i), n)
		}
	}
}
