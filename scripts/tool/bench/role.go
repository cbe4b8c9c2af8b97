// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// role is this program, started once more to be something else. It ends with its standard input.
type role struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startRole starts this program in a role.
func startRole(ctx context.Context, args ...string) (*role, error) {
	return begin(roleCommand(ctx, args...))
}

func roleCommand(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "/proc/self/exe", append([]string{"role"}, args...)...)
}

// startClient starts this program as a client in a session of its own, as one in a sandbox is: the kernel
// schedules sessions as groups, and one that shares the proxy's has it easier.
func startClient(ctx context.Context, args ...string) (*role, error) {
	cmd := roleCommand(ctx, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return begin(cmd)
}

// begin starts a program that is talked to by lines.
func begin(cmd *exec.Cmd) (*role, error) {
	cmd.Stderr = os.Stderr
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start %s: %w", cmd, err)
	}
	return &role{cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

// line reads a line that the role prints.
func (r *role) line() (string, error) {
	text, err := r.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("bench: %s ended early: %w", strings.Join(r.cmd.Args, " "), err)
	}
	return strings.TrimSpace(text), nil
}

func (r *role) stop() {
	r.in.Close()
	io.Copy(io.Discard, r.out)
	r.cmd.Wait()
}

// playRole is what a process does that startRole started.
func playRole(args []string) error {
	switch args[0] {
	case "origin":
		return origin()
	case "client":
		return runClient(args[1:])
	case "proxy":
		return playProxy(args[1])
	case "filter":
		return playFilter(args[1])
	case "many":
		return playMany(args[1])
	}
	return fmt.Errorf("bench: no role %q", args[0])
}

// playProxy is the built-in proxy with a policy of one entry. Each line of its standard input, MODE and the arguments of
// a client, has it run that client in a sandbox, whose output it passes on.
func playProxy(target string) error {
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{target}})
	if err != nil {
		return err
	}
	h, err := proxycore.BuiltIn{Config: proxycore.Config{Filter: filter, MaxConns: -1}}.Start(context.Background())
	if err != nil {
		return err
	}
	defer h.Close()
	stop, err := profile()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println(h.Addr())
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		words := strings.Fields(s.Text())
		box := bridge.Sandbox{Mode: bridge.Mode(words[0])}
		cmd, err := box.Command(context.Background(), h, self, append([]string{"role", "client"}, words[1:]...)...)
		if err != nil {
			return err
		}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("bench: the client in the sandbox: %w", err)
		}
	}
	return nil
}
