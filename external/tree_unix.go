// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package external

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

const (
	termSignal = syscall.SIGTERM
	killSignal = syscall.SIGKILL

	// reapsFirst is true: there is no portable way to see the end without reaping.
	reapsFirst = true
)

// tree is the child's process group.
type tree struct {
	leader int

	mu      sync.Mutex
	retired bool // guarded by mu; the group is gone, its id may name somebody else
}

func newTree(leader *os.Process, _ string, _ *os.File) *tree { return &tree{leader: leader.Pid} }

// sysProcAttr gives the child a session, and so a process group, of its own.
func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// inheritedDescriptors is only known on Linux.
func inheritedDescriptors() int { return 0 }

func awaitExit(int) {}

func (t *tree) retire(reap func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = true
	reap()
}

func (t *tree) remember() {}

func (t *tree) signal(sig syscall.Signal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.retired {
		_ = syscall.Kill(-t.leader, sig)
	}
}

// alive returns the group's id while some process is in it.
func (t *tree) alive() []int {
	if err := syscall.Kill(-t.leader, 0); errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return []int{-t.leader}
}

// isAddrInUse reports whether err says that the address is taken.
func isAddrInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
