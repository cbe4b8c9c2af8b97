// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An engine is a Docker engine for the steps that need one: the one that runs on this machine, or else one of our own,
// which has no bridge and no firewall rules, keeps all it has in one directory, and ends with the steps.
type engine struct {
	once   sync.Once
	err    error
	daemon *exec.Cmd // ours; nil: somebody else's
	over   chan struct{}
}

// engineStart is how long our own engine may take until it answers.
const engineStart = 30 * time.Second

// use makes sure that an engine answers, and leads the programs that this one starts to it by DOCKER_HOST. It starts
// ours the first time, where none runs and this is root. dir is for what that keeps. The error says why there is none.
func (e *engine) use(ctx context.Context, dir string) error {
	e.once.Do(func() {
		if e.err = answers(ctx); e.err == nil {
			return
		}
		if os.Geteuid() != 0 {
			e.err = fmt.Errorf("no Docker engine answers, and only root can start one: %w", e.err)
			return
		}
		e.err = e.start(ctx, dir)
	})
	return e.err
}

// answers asks the engine that DOCKER_HOST, or the lack of it, leads to.
func answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "version", "--format={{.Server.Version}}").CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker version: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func (e *engine) start(ctx context.Context, dir string) error {
	path := func(name string) string { return filepath.Join(dir, name) }
	socket := path("sock")
	log, err := os.Create(path("log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.Command("dockerd", "--data-root="+path("data"), "--exec-root="+path("exec"), "--pidfile="+path("pid"),
		"--host=unix://"+socket, "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false")
	c.Stdout, c.Stderr = log, log
	// A group of its own: Ctrl-C is for the steps, which still need it to clean up.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithUs(c.SysProcAttr)
	e.over = make(chan struct{})
	started := make(chan error)
	go func() {
		defer close(e.over)
		runtime.LockOSThread() // the thread that starts it is the parent whose death it hears of
		err := c.Start()
		started <- err
		if err == nil {
			_ = c.Wait() // its log says why
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start a Docker engine: %w", err)
	}
	e.daemon = c
	if err := e.await(ctx, socket); err != nil {
		text, _ := os.ReadFile(path("log"))
		return fmt.Errorf("start a Docker engine: %w\n%s", err, lastLines(string(text), 20))
	}
	if err := os.Setenv("DOCKER_HOST", "unix://"+socket); err != nil {
		return err
	}
	// It listens before it is ready, and answers when it is; one that is stopped before leaves a mount behind.
	return answers(ctx)
}

// await returns when something listens at the socket.
func (e *engine) await(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, engineStart)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("unix", socket); err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-e.over:
			return errors.New("dockerd has ended")
		case <-ctx.Done():
			return fmt.Errorf("dockerd does not listen at %s: %w", socket, ctx.Err())
		}
	}
}

// stop ends an engine that use has started, and the containerd that belongs to it, and returns when it is gone.
func (e *engine) stop() {
	if e.daemon == nil {
		return
	}
	_ = e.daemon.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.over:
	case <-time.After(engineStart):
		_ = syscall.Kill(-e.daemon.Process.Pid, syscall.SIGKILL)
		<-e.over
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
