// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// initArgument makes a binary that imports this package the init of a reference sandbox.
const initArgument = "egress-conformance-reference-init"

func init() {
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
	s := settings{Launch: l, Door: door, Faults: f}
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
	if f.Has(NetworkKept) {
		cmd.SysProcAttr.Cloneflags &^= syscall.CLONE_NEWNET
	}
	if f.sharesProcesses() {
		cmd.SysProcAttr.Cloneflags &^= syscall.CLONE_NEWPID
	}
	if f.Has(ResolvesOnHost) {
		cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, capNetBind)
	}
	if f.Has(VariablesOnly) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	return cmd, nil
}

// sharesNetwork and sharesProcesses say which namespaces the faults leave out.
func (s Faults) sharesNetwork() bool { return s.Has(NetworkKept) || s.Has(VariablesOnly) }

func (s Faults) sharesProcesses() bool {
	return s.Has(ChildLeft) || s.Has(OutlivesLauncher) || s.Has(RelayLeft) || s.Has(VariablesOnly)
}

const (
	capNetBind  = 10
	capSetPcap  = 8
	capNetAdmin = 12
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
		if s.Faults.Has(ResolvesOnHost) {
			if err := s.resolver(); err != nil {
				return 125, err
			}
		}
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 125, err
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
	return s.status(cmd.Wait())
}

// open serves the listener inside by carrying every connection to the door.
func (s settings) open(l net.Listener) {
	switch {
	case s.Faults.Has(DoorFails):
		l.Close()
	case s.Faults.Has(DoorLate):
		address := l.Addr().String()
		l.Close()
		time.AfterFunc(time.Second, func() {
			if again, err := net.Listen("tcp4", address); err == nil {
				s.carry(again)
			}
		})
	default:
		go s.carry(l)
	}
}

func (s settings) carry(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			in := c.(*net.TCPConn)
			out, err := net.Dial("unix", s.Door)
			if err != nil {
				reset(in)
				return
			}
			join(in, out.(*net.UnixConn))
		}()
	}
}

func join(a *net.TCPConn, b *net.UnixConn) {
	defer a.Close()
	defer b.Close()
	var wg sync.WaitGroup
	one := func(dst half, src net.Conn) {
		if _, err := io.Copy(dst, src); err != nil {
			reset(a)
			b.Close()
			return
		}
		dst.CloseWrite()
	}
	wg.Go(func() { one(a, b) })
	wg.Go(func() { one(b, a) })
	wg.Wait()
}

// environ is the host's environment with the proxy in it.
func (s settings) environ(address string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if s.Faults.Has(HostVariablesWin) || !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			env = append(env, kv)
		}
	}
	env = append(env, s.Env...)
	if s.Faults.Has(VariablesMissing) {
		return env
	}
	noProxy := "localhost,127.0.0.1,::1"
	if s.Faults.Has(NoProxyWide) {
		noProxy += ",10.0.0.0/8,169.254.169.254"
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		if s.Faults.Has(HostVariablesWin) && os.Getenv(name) != "" {
			continue
		}
		env = append(env, name+"=http://"+address)
		if !s.Faults.Has(LowerCaseMissing) {
			env = append(env, strings.ToLower(name)+"=http://"+address)
		}
	}
	return append(env, "NO_PROXY="+noProxy, "no_proxy="+noProxy)
}

// seal takes from the command what the init needed: descriptors, capabilities, the way back to them.
func (s settings) seal(cmd *exec.Cmd) error {
	if !s.Faults.Has(DescriptorsLeaked) {
		for fd := 3; fd < 1024; fd++ {
			syscall.CloseOnExec(fd)
		}
	}
	if s.Faults.Has(OutlivesLauncher) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if s.Faults.Has(VariablesOnly) {
		return nil
	}
	if !s.Faults.Has(PrivilegesReturn) {
		if err := prctl(38, 1, 0); err != nil { // PR_SET_NO_NEW_PRIVS
			return fmt.Errorf("no_new_privs: %w", err)
		}
	}
	if s.Faults.Has(CapabilitiesKept) {
		return nil
	}
	for c := uintptr(0); c <= lastCap; c++ {
		if err := prctl(24, c, 0); err != nil && !errors.Is(err, syscall.EINVAL) { // PR_CAPBSET_DROP
			return fmt.Errorf("capability %d: %w", c, err)
		}
	}
	if err := prctl(47, 4, 0); err != nil { // PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	head := struct{ version, pid uint32 }{version: 0x20080522}
	var none [6]uint32
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&none)), 0); errno != 0 {
		return fmt.Errorf("capset: %w", errno)
	}
	return nil
}

func prctl(option, a, b uintptr) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, a, b, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
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

func freshProc() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making the mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	return nil
}

// loopbackUp brings the loopback device of a new namespace up.
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	defer syscall.Close(fd)
	var req struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], "lo")
	req.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return fmt.Errorf("loopback up: %w", errno)
	}
	return nil
}
