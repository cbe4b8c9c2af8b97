// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package external

import (
	"os"
	"syscall"
)

const (
	termSignal = syscall.SIGTERM
	killSignal = syscall.SIGKILL

	// reapsFirst is true: a process that has ended leaves nothing to protect here.
	reapsFirst = true
)

// tree is the child alone: there are no process groups to signal.
type tree struct{ leader *os.Process }

func newTree(leader *os.Process, _ string, _ *os.File) *tree { return &tree{leader: leader} }

func sysProcAttr() *syscall.SysProcAttr { return nil }

// inheritedDescriptors is 0: handles are only inherited where a process asks for it.
func inheritedDescriptors() int { return 0 }

func awaitExit(int) {}

func (t *tree) retire(reap func()) { reap() }

func (t *tree) remember() {}

// signal ends the child: it cannot be asked to.
func (t *tree) signal(syscall.Signal) { _ = t.leader.Kill() }

func (t *tree) alive() []int { return nil }

// isAddrInUse takes every error as such: the numbers differ between systems.
func isAddrInUse(err error) bool { return err != nil }
