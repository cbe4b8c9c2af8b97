// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// initArgument makes a binary that imports this package the init of a reference sandbox.
const initArgument = "egress-conformance-reference-init"

// middleArgument makes it a process that runs the command and waits for it, for the fault MiddleLeft.
const middleArgument = "egress-conformance-reference-middle"

func init() {
	if len(os.Args) > 2 && os.Args[1] == middleArgument {
		os.Exit(middle(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) != 3 || os.Args[1] != initArgument {
		return
	}
	var s settings
	err := json.Unmarshal([]byte(os.Args[2]), &s)
	status := 125
	if err == nil {
		status, err = s.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refproxy: sandbox:", err)
	}
	os.Exit(status)
}

// Command prepares a command in a sandbox whose only way out is the door of p.
func (p *Proxy) Command(ctx context.Context, door string, l Launch) (*exec.Cmd, error) {
	f := p.o.Faults
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if !alive(door) {
		if !f.Has(FailsOpen) {
			return nil, errors.New("refproxy: the proxy is dead: no sandbox without it")
		}
		f = f.With(NetworkKept)
	}
	s := settings{Launch: l, Door: door, Faults: f, Transparent: p.o.Transparent, Allow: p.o.Allow, Deny: p.o.Deny}
	if f.Has(LoginInSandbox) && p.up != nil && p.up.User != "" {
		s.Env = append(s.Env, "CORPORATE_PROXY="+p.up.full())
	}
	if a := p.Addr(); a != nil {
		s.Proxy = a.String()
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, initArgument, string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{capSetPcap, capNetAdmin, capSysAdmin},
		Pdeathsig:   syscall.SIGKILL,
	}
	if f.Has(NetworkKept) || f.Has(AbstractOpen) {
		cmd.SysProcAttr.Cloneflags &^= syscall.CLONE_NEWNET
	}
	if f.sharesProcesses() {
		cmd.SysProcAttr.Cloneflags &^= syscall.CLONE_NEWPID
	}
	if f.Has(ResolvesOnHost) || p.o.Transparent {
		cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, capNetBind)
	}
	if f.Has(CapabilitiesKept) { // one that the init does not need, so that a user who is not root keeps some use of them
		cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, capNetRaw)
	}
	if f.Has(VariablesOnly) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	return cmd, nil
}

// sharesNetwork and sharesProcesses say which namespaces the faults leave out.
func (s Faults) sharesNetwork() bool {
	return s.Has(NetworkKept) || s.Has(AbstractOpen) || s.Has(VariablesOnly)
}

func (s Faults) sharesProcesses() bool {
	return s.Has(ChildLeft) || s.Has(OutlivesLauncher) || s.Has(RelayLeft) || s.Has(VariablesOnly)
}

const (
	capNetBind  = 10
	capSetPcap  = 8
	capNetAdmin = 12
	capNetRaw   = 13
	capSysAdmin = 21
	lastCap     = 63
)

// run is the init: it furnishes the namespaces, starts the command and ends with its status.
func (s settings) run() (int, error) {
	runtime.LockOSThread() // capabilities belong to the thread
	address := s.Proxy
	if !s.Faults.sharesNetwork() {
		if err := loopbackUp(); err != nil {
			return 125, err
		}
		if s.Faults.Has(ResolvesOnHost) && !s.Transparent {
			if err := s.resolver(); err != nil {
				return 125, err
			}
		}
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 125, err
		}
		if s.Transparent && !s.Faults.Has(NotTransparent) {
			if err := s.startCapture(); err != nil {
				return 125, err
			}
		}
		address = l.Addr().String()
		s.open(l)
	}
	if !s.Faults.sharesProcesses() {
		if err := freshProc(); err != nil {
			return 125, err
		}
	}
	cmd := exec.Command(s.Path, s.Args...)
	if s.Faults.Has(MiddleLeft) {
		cmd = exec.Command("/proc/self/exe", append([]string{middleArgument, s.Path}, s.Args...)...)
	}
	cmd.Env = s.environ(address)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if s.Faults.Has(OutputLost) {
		cmd.Stdout = nil
	}
	if err := s.seal(cmd); err != nil {
		return 125, err
	}
	if err := cmd.Start(); err != nil {
		return 126, err
	}
	if s.Faults.Has(RelayLeft) {
		// The probe holds its standard output until nobody reads it any more; Setsid, so that nothing else ends it.
		relay := exec.Command(s.Path, "egress-conformance-probe", "hold")
		relay.Stdout, relay.SysProcAttr = os.Stdout, &syscall.SysProcAttr{Setsid: true}
		if err := relay.Start(); err != nil {
			return 125, err
		}
	}
	err := cmd.Wait()
	for s.Faults.Has(MiddleLeft) && cmd.ProcessState.ExitCode() < 0 { // killed: what it ran is this process's child now
		if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil {
			break
		}
	}
	return s.status(err)
}

func middle(path string, args []string) int {
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	status, err := settings{}.status(cmd.Run())
	if err != nil {
		fmt.Fprintln(os.Stderr, "refproxy: sandbox:", err)
	}
	return status
}

// status is the command's own, or 128 and the signal that ended it.
func (s settings) status(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case s.Faults.Has(StatusLost), err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 125, err
	}
	ws := exit.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		if s.Faults.Has(SignalLost) {
			return 1, nil
		}
		return 128 + int(ws.Signal()), nil
	}
	return ws.ExitStatus(), nil
}
