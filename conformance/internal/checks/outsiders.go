// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

// outsiderChecks are about what is not in the sandbox and must have nothing to fear from it, or not outlive it.
func outsiderChecks() []check.Check {
	return []check.Check{
		{ID: "SANDBOX-035.signals", Summary: "no process outside can be signaled", Run: victims(func(pid int, _, _ string) []probe.Action {
			return []probe.Action{{Do: "signal", Address: strconv.Itoa(pid)}}
		})},
		{ID: "SANDBOX-035.memory", Summary: "nor traced, nor its memory read or written", Run: victims(func(pid int, at, secret string) []probe.Action {
			place := fmt.Sprintf("%d %s", pid, at)
			return []probe.Action{{Do: "trace", Address: place, Text: secret}, {Do: "memory", Address: place, Text: secret}}
		})},
		{ID: "SANDBOX-036.pages", Summary: "the proxy has no pages for a program inside", Run: pages},
		{ID: "SANDBOX-036.ports", Summary: "nor does it lead to a port that somebody listens on outside", Run: ports},
		{ID: "SANDBOX-037.sockets", Summary: "what listens in one sandbox cannot be reached from another", Run: neighbors},
		{ID: "SANDBOX-038.between", Summary: "everything ends when a process between launcher and command is killed", Run: between},
		{ID: "SANDBOX-038.descendants", Summary: "what the command has started ends with the launcher, too", Run: descendants},
	}
}

// victim is a process outside with a secret in its memory.
type victim struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	said   *bufio.Reader
	at     string // the address of its secret
	secret string
}

func newVictim(x *check.X) *victim {
	self, err := os.Executable()
	if err != nil {
		x.Abort("finding the probe: %v", err)
	}
	v := &victim{secret: rand.Text()}
	v.cmd = exec.CommandContext(x.Ctx, self, probe.Argument, probe.OpVictim, v.secret)
	stdin, err := v.cmd.StdinPipe()
	if err != nil {
		x.Abort("%v", err)
	}
	stdout, err := v.cmd.StdoutPipe()
	if err != nil {
		x.Abort("%v", err)
	}
	if err := v.cmd.Start(); err != nil {
		x.Abort("a process outside: %v", err)
	}
	x.Defer(func() {
		v.cmd.Process.Kill()
		v.cmd.Wait()
	})
	v.stdin, v.said = stdin, bufio.NewReader(stdout)
	line, err := v.said.ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, probe.VictimAt, new(uint64)); scanErr != nil {
		x.Abort("a process outside: %q, %v", line, err)
	}
	v.at = strings.Fields(line)[1]
	return v
}

// end asks what has become of it.
func (v *victim) end(x *check.X) string {
	v.stdin.Close()
	line, err := v.said.ReadString('\n')
	if err != nil {
		return "gone"
	}
	return strings.TrimSuffix(line, "\n")
}

// victims has a process outside attacked, one from outside, for the record, and one from inside.
func victims(attack func(pid int, at, secret string) []probe.Action) func(*check.X) {
	return func(x *check.X) {
		run := func(label string, try func(*check.X, []probe.Action) []probe.Result) ([]probe.Result, string) {
			v := newVictim(x)
			results := try(x, attack(v.cmd.Process.Pid, v.at, v.secret))
			end := v.end(x)
			for _, r := range results {
				x.Line(label, "%s: %s; %s", r.Action.Do, r.Detail, end)
			}
			return results, end
		}
		run("Control", func(x *check.X, all []probe.Action) []probe.Result { return outside(x, nil, all...) })
		results, end := run("Got", func(x *check.X, all []probe.Action) []probe.Result {
			for i := range all {
				all[i].Apart = true
			}
			return ask(x, x.Core(), all...).Results
		})
		if end != probe.VictimIntact {
			x.Note(oracle.Process, "a process outside is %s after an attempt from inside", end)
		}
		for _, r := range results {
			if r.Done && r.Action.Do != "signal" { // a process of that number may be inside, too, and be signaled
				x.Note(oracle.Process, "%s got at a process outside: %s", r.Action.Do, r.Detail)
			}
		}
	}
}

// usual are the places where servers have what is for their operators.
var usual = []string{"/", "/metrics", "/debug/pprof/", "/debug/vars", "/stats", "/status", "/admin", "/config", "/healthz",
	"/proxy.pac", "/squid-internal-mgr/menu"}

func pages(x *check.X) {
	var actions []probe.Action
	for _, path := range usual {
		actions = append(actions, probe.Action{Do: "page", Address: path})
	}
	for _, r := range ask(x, x.Core(), actions...).Results {
		x.Line("Got", "%s: %s", r.Action.Address, r.Detail)
		if r.Done {
			x.Note(oracle.ClientStatus, "the proxy has a page %s for a program inside: %s", r.Action.Address, r.Detail)
		}
	}
}

// ports asks the proxy for every port of the loopback interface that somebody listens on, the proxy's own process too.
func ports(x *check.X) {
	p := x.Core()
	var actions []probe.Action
	for _, port := range listening() {
		actions = append(actions, probe.Action{Do: "proxy", Address: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	mark := x.Mark()
	results := ask(x, p, actions...).Results
	seen := x.Since(mark, p)
	x.Line("Origin", "%s", seen.Origin())
	for _, r := range results {
		x.Line("Got", "CONNECT %s: %d, %s", r.Action.Address, r.Status, r.Detail)
		if r.Status/100 == 2 {
			x.Note(oracle.ClientStatus, "the proxy leads to %s outside: %d", r.Action.Address, r.Status)
		}
	}
	noDial(x, seen)
}

// listening are the TCP ports of this network that somebody listens on, the first of them.
func listening() []uint64 {
	const listen, most = "0A", 32
	found := map[uint64]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] != listen {
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			if port, err := strconv.ParseUint(hex, 16, 16); err == nil {
				found[port] = true
			}
		}
	}
	all := slices.Sorted(maps.Keys(found))
	return all[:min(len(all), most)]
}

// neighbors has a program listen in one sandbox and another look for it from a second.
func neighbors(x *check.X) {
	p := x.Core()
	cmd, err := p.Probe(x.Ctx, probe.OpServe, sharedDirs(x)[0])
	if err != nil {
		x.Fail(oracle.Process, "%v", err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		x.Abort("%v", err)
	}
	stdout, w, err := os.Pipe()
	if err != nil {
		x.Abort("%v", err)
	}
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		x.Fail(oracle.Process, "starting: %v", err)
	}
	x.Defer(func() {
		stdin.Close()
		cmd.Wait()
		stdout.Close()
	})
	stdout.SetReadDeadline(time.Now().Add(x.Patience()))
	said := json.NewDecoder(stdout)
	var s probe.Served
	err = said.Decode(&s)
	x.Saw(oracle.Process).Expect(err).NotTo(HaveOccurred(), "what listens in the first sandbox")
	x.Saw(oracle.Process).Expect(s.At).NotTo(BeEmpty(), "what listens in the first sandbox")
	for _, r := range ask(x, p, s.At...).Results {
		x.Line("Got", "from the second, %s: %s", words(r.Action), r.Detail)
	}
	stdout.SetReadDeadline(time.Now().Add(x.Patience()))
	io.WriteString(stdin, "\n")
	err = said.Decode(&s)
	x.Saw(oracle.Process).Expect(err).NotTo(HaveOccurred(), "who came to the first sandbox")
	x.Line("Got", "to the first came %d", s.Came)
	if s.Came > 0 {
		x.Note(oracle.Sandbox, "what listens in one sandbox was reached from another, %d times", s.Came)
	}
}

// held starts a command that holds and returns once it does.
func held(x *check.X, op string, args ...string) (*exec.Cmd, *os.File) {
	cmd, r := follow(x, x.Core(), op, args...)
	r.SetReadDeadline(time.Now().Add(x.Patience()))
	if _, err := r.Read(make([]byte, 64)); err != nil {
		x.Note(oracle.Process, "the command in the sandbox has not started: %v", err)
	}
	return cmd, r
}

func descendants(x *check.X) {
	cmd, r := held(x, probe.OpFamily)
	cmd.Process.Kill()
	cmd.Wait()
	mustEOF(x, r, "after the launcher's death")
}

// between kills, one after the other and each in a sandbox of its own, the processes that lead from the launcher to
// the command. Those beside that way, relays for example, may end without it.
func between(x *check.X) {
	const most = 6
	for i := range most {
		tag := rand.Text()
		cmd, r := held(x, probe.OpHold, tag)
		way := wayTo(cmd.Process.Pid, tag)
		if i >= len(way) {
			x.Line("Got", "%d processes between the launcher and the command", len(way))
			cmd.Process.Kill()
			cmd.Wait()
			return
		}
		if p, err := os.FindProcess(way[i]); err == nil {
			p.Kill()
		}
		mustEOF(x, r, fmt.Sprintf("after the death of the process %d below the launcher", i+1))
		cmd.Wait()
	}
}

// wayTo are the processes between root and the probe below it that has the argument tag, from above; none where it
// cannot be seen from here.
func wayTo(root int, tag string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	parent := map[int]int{}
	at := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, _ := os.ReadFile("/proc/" + e.Name() + "/stat")
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) > 1 {
			parent[pid], _ = strconv.Atoi(f[1])
		}
		line, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		// The processes on the way may have the same arguments behind their own.
		if args := strings.Split(string(line), "\x00"); len(args) > 3 && args[1] == probe.Argument && args[3] == tag {
			at = pid
		}
	}
	var way []int
	for at = parent[at]; at != root; at = parent[at] {
		if at == 0 {
			return nil
		}
		way = append([]int{at}, way...)
	}
	return way
}
