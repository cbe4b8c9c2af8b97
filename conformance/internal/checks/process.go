// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

func processChecks() []check.Check {
	return []check.Check{
		{ID: "SANDBOX-012.new", Summary: "a sandbox made after the proxy's end reaches nothing, or is not made", Run: deadBefore},
		{ID: "SANDBOX-012.running", Summary: "a sandbox that is running when the proxy ends reaches nothing", Run: deadMeanwhile},
		{ID: "SANDBOX-013.status", Summary: "the exit status is the command's own", Run: exitStatus},
		{ID: "SANDBOX-013.signal", Summary: "death by signal n is the status 128+n", Run: exitSignal},
		{ID: "SANDBOX-014.descriptors", Summary: "no descriptor of the host is inherited", Run: descriptors},
		{ID: "SANDBOX-015.capabilities", Summary: "the command has no capability", Run: capabilities},
		{ID: "SANDBOX-015.no-new-privileges", Summary: "no program it starts can get any", Run: noNewPrivileges},
		{ID: "SANDBOX-016.children", Summary: "background children end with the command", Run: children},
		{ID: "SANDBOX-017.launcher-killed", Summary: "everything ends when the launching process is killed", Run: launcherKilled},
		{ID: "SANDBOX-018.streams", Summary: "standard input and output pass through unchanged", Run: streams},
		{ID: "SANDBOX-019.first-request", Summary: "the proxy answers from the command's first moment on", Run: firstRequest},
		{ID: "SANDBOX-020.processes", Summary: "the host's processes are not visible", Run: processes},
		{ID: "SANDBOX-021.host-variables", Summary: "proxy variables of the host do not reach the command", Run: hostVariables},
		{ID: "SANDBOX-022.nothing-left", Summary: "nothing holds the command's streams once it has ended", Run: nothingLeft},
	}
}

// ask runs the probe inside with actions and returns its report.
func ask(x *check.X, p *check.Proxy, actions ...probe.Action) probe.Report {
	r, err := tryAsk(x, p, actions...)
	if err != nil {
		x.Fail(oracle.Process, "%v", err)
	}
	return r
}

func tryAsk(x *check.X, p *check.Proxy, actions ...probe.Action) (probe.Report, error) {
	out, err := inside(x, p, nil, probe.OpReport, script(x, actions))
	if err != nil {
		return probe.Report{}, err
	}
	return parseReport(out, len(actions))
}

func script(x *check.X, actions []probe.Action) string {
	if actions == nil {
		actions = []probe.Action{}
	}
	for i := range actions {
		timeout := x.Bound() / 2 // most of these are not to work, and the witness sees what comes of them later
		if actions[i].Do == "proxy" {
			timeout = x.Bound() // as for a client outside
		}
		actions[i].Timeout = int(timeout / time.Millisecond)
	}
	text, err := json.Marshal(actions)
	if err != nil {
		x.Abort("%v", err)
	}
	return string(text)
}

func parseReport(out []byte, n int) (probe.Report, error) {
	var r probe.Report
	if err := json.Unmarshal(out, &r); err != nil {
		return r, errors.Join(errors.New("the probe's report could not be read"), err)
	}
	if len(r.Results) != n {
		return r, errors.New("the probe's report is incomplete")
	}
	return r, nil
}

// inside runs the probe to its end and returns its output. An *exec.ExitError is the command's status.
func inside(x *check.X, p *check.Proxy, stdin io.Reader, op string, args ...string) ([]byte, error) {
	cmd, err := p.Probe(x.Ctx, op, args...)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = stdin, &out
	err = cmd.Run()
	return out.Bytes(), err
}

// deadBefore ends the proxy first. That no sandbox can be made then is as good as one without a way out.
func deadBefore(x *check.X) {
	p := x.MustStart(coreConfig)
	insideControl(x, p)
	mustEnd(x, p)
	mark := x.Mark()
	r, err := tryAsk(x, p, wayOut()...)
	seen := x.Since(mark, p)
	x.Line("Origin", "%s", seen.Origin())
	if err != nil {
		x.Line("Got", "no sandbox without the proxy: %v", err)
	}
	noWayOut(x, r)
	noDial(x, seen)
	noQuery(x, seen)
}

func wayOut() []probe.Action {
	return []probe.Action{
		{Do: "proxy", Address: check.AllowedTarget},
		{Do: "dial", Network: "tcp4", Address: "93.184.215.14:443"},
		{Do: "lookup", Address: check.AllowedHost},
	}
}

func noWayOut(x *check.X, r probe.Report) {
	for _, res := range r.Results {
		x.Line("Got", "%s %s: %s", res.Action.Do, res.Action.Address, res.Detail)
		if res.Done {
			x.Note(oracle.Sandbox, "%s %s worked without the proxy", res.Action.Do, res.Action.Address)
		}
	}
}

func deadMeanwhile(x *check.X) {
	p := x.MustStart(coreConfig)
	insideControl(x, p)
	cmd, err := p.Probe(x.Ctx, probe.OpLater, script(x, wayOut()))
	if err != nil {
		x.Fail(oracle.Process, "%v", err)
	}
	ready := &waiter{line: make(chan struct{})}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, ready
	stdin, err := cmd.StdinPipe()
	if err != nil {
		x.Abort("%v", err)
	}
	if err := cmd.Start(); err != nil {
		x.Fail(oracle.Process, "starting: %v", err)
	}
	select {
	case <-ready.line:
	case <-time.After(x.Patience()):
		x.Note(oracle.Process, "the command in the sandbox has not started")
	}
	mustEnd(x, p)
	mark := x.Mark()
	stdin.Close()
	runErr := cmd.Wait()
	seen := x.Since(mark, p)
	x.Line("Origin", "%s", seen.Origin())
	// A sandbox that ends with its proxy reaches nothing either.
	if r, err := parseReport(out.Bytes(), len(wayOut())); err == nil {
		noWayOut(x, r)
	} else {
		x.Line("Got", "the sandbox ended: %v", runErr)
	}
	noDial(x, seen)
	noQuery(x, seen)
}

// waiter closes line at the first write.
type waiter struct {
	once sync.Once
	line chan struct{}
}

func (w *waiter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.line) })
	return len(p), nil
}

func status(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // it ended well, something still holds its streams
		return 0
	case errors.As(err, &exit):
		if n := exit.ExitCode(); n >= 0 {
			return n
		}
		return 128 + signalOf(exit)
	}
	return -1
}

func exitStatus(x *check.X) {
	p := x.Core()
	for _, want := range []string{"0", "7", "255"} {
		_, err := inside(x, p, nil, probe.OpExit, want)
		got := status(err)
		x.Line("Got", "%d for exit %s", got, want)
		x.Saw(oracle.Process).Expect(got).To(BeEquivalentTo(number(want)), "status of a command that exits with %s (%v)", want, err)
	}
}

func exitSignal(x *check.X) {
	p := x.Core()
	for _, signal := range []string{"9", "15"} {
		_, err := inside(x, p, nil, probe.OpSignal, signal)
		got := status(err)
		x.Line("Got", "%d for signal %s", got, signal)
		x.Saw(oracle.Process).Expect(got).To(Equal(128+number(signal)), "status of a command killed by signal %s (%v)", signal, err)
	}
}

func number(text string) int {
	n := 0
	for _, c := range text {
		n = 10*n + int(c-'0')
	}
	return n
}

// descriptors leaves one open that a child inherits, as any library in the process may do.
func descriptors(x *check.X) {
	p := x.Core()
	closeLeak, err := leakDescriptor()
	if err != nil {
		x.Abort("leaving a descriptor open: %v", err)
	}
	x.Defer(closeLeak)
	r := ask(x, p)
	x.Line("Got", "%d descriptors above 2", len(r.Descriptors))
	if n := len(r.Descriptors); n > 0 {
		x.Note(oracle.Process, "the command has inherited %d descriptors: %s", n, few(r.Descriptors))
	}
}

func capabilities(x *check.X) {
	r := ask(x, x.Core())
	x.Line("Got", "%v", r.Capabilities)
	x.Saw(oracle.Process).Expect(r.Capabilities).To(BeEmpty(), "capabilities of the command")
}

func noNewPrivileges(x *check.X) {
	x.Saw(oracle.Process).Expect(ask(x, x.Core()).NoNewPrivs).To(BeTrue(), "no_new_privs")
}

// follow starts the probe with a pipe as standard output, which ends when the last process that holds it
// is gone, wherever that process may have got to.
func follow(x *check.X, p *check.Proxy, op string, args ...string) (*exec.Cmd, *os.File) {
	cmd, err := p.Probe(x.Ctx, op, args...)
	if err != nil {
		x.Fail(oracle.Process, "%v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		x.Abort("%v", err)
	}
	x.Defer(func() { r.Close() })
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		x.Fail(oracle.Process, "starting: %v", err)
	}
	return cmd, r
}

// mustEOF returns what was said before the last process was gone.
func mustEOF(x *check.X, r *os.File, what string) string {
	r.SetReadDeadline(time.Now().Add(x.Bound()))
	said, err := io.ReadAll(r)
	if err != nil {
		x.Fail(oracle.Process, "%s: a process of the sandbox is still there after %v", what, x.Bound())
	}
	return string(said)
}

func children(x *check.X) {
	cmd, r := follow(x, x.Core(), probe.OpLinger)
	err := cmd.Wait()
	x.Saw(oracle.Process).Expect(status(err)).To(BeZero(), "the command: %v", err)
	said := mustEOF(x, r, "after the command's end")
	x.Saw(oracle.Process).Expect(said).NotTo(BeEmpty(), "what the background child says: that there was one")
}

func launcherKilled(x *check.X) {
	cmd, r := follow(x, x.Core(), probe.OpHold)
	r.SetReadDeadline(time.Now().Add(x.Patience()))
	if _, err := r.Read(make([]byte, 64)); err != nil {
		x.Note(oracle.Process, "the command in the sandbox has not started: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	mustEOF(x, r, "after the launcher's death")
}

func streams(x *check.X) {
	text := strings.Repeat("every byte \x00\xff\r\n", 20000)
	out, err := inside(x, x.Core(), strings.NewReader(text), probe.OpCopy)
	x.Line("Got", "%d of %d bytes", len(out), len(text))
	x.Saw(oracle.Process).Expect(err).NotTo(HaveOccurred())
	x.Saw(oracle.Process).Expect(string(out) == text).To(BeTrue(), "standard output is what standard input was")
}

func firstRequest(x *check.X) {
	p := x.Core()
	for i := range 5 {
		r := ask(x, p, probe.Action{Do: "proxy", Address: check.AllowedTarget})
		if res := r.Results[0]; !res.Done {
			x.Fail(oracle.Sandbox, "start %d: the first request failed: %s", i+1, res.Detail)
		}
	}
}

func processes(x *check.X) {
	r := ask(x, x.Core())
	x.Line("Got", "%d processes", len(r.Processes))
	if self := strings.Join(os.Args, " "); slices.Contains(r.Processes, self) {
		// Only this one is named: the others are nobody's business who reads the report.
		x.Note(oracle.Process, "among the %d processes visible inside is the suite's own: %s", len(r.Processes), self)
	}
}

// few names the first of many.
func few(all []string) string {
	const n = 8
	if len(all) > n {
		return strings.Join(all[:n], ", ") + ", …"
	}
	return strings.Join(all, ", ")
}
