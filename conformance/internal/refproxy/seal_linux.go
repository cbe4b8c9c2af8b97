// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"unsafe"
)

// environ is the host's environment with the proxy in it.
func (s settings) environ(address string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasSuffix(strings.ToLower(name), "_proxy") && !s.Faults.Has(HostVariablesWin):
		case namesService(name) && !s.Faults.Has(ServiceVariables):
		default:
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

// namesService says that a variable tells programs of a service of the host that does things for them.
func namesService(name string) bool {
	for _, prefix := range []string{"DBUS_", "DOCKER_", "CONTAINER_", "KUBE", "LISTEN_", "GPG_", "SSH_A", "XDG_RUNTIME_", "VSCODE_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "NOTIFY_SOCKET", "JOURNAL_STREAM", "TMUX", "STY"}, name)
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
		_ = dropCapabilities() // those of a user who is root, so that the fault is the same one for all; others have none
		return nil
	}
	if !s.Faults.Has(PrivilegesReturn) {
		if err := prctl(38, 1, 0); err != nil { // PR_SET_NO_NEW_PRIVS
			return fmt.Errorf("no_new_privs: %w", err)
		}
	}
	if err := s.lock(); err != nil { // before the capabilities go: without no_new_privs it takes one
		return err
	}
	if s.Faults.Has(CapabilitiesKept) {
		return nil
	}
	return dropCapabilities()
}

// dropCapabilities leaves this thread, and what it executes, without any.
func dropCapabilities() error {
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
