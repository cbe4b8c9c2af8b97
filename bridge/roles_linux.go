// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Roles that this program plays besides its own, by its first argument. They
// are in argv, not in the environment: a bwrap option or a wrapper could clear or
// pass on a variable, and the command would see it.
const (
	roleSupervise  = "sallyport:bridge:supervise"   // outside: see wayArgs
	roleInit       = "sallyport:bridge:init"        // inside bwrap: COMMAND ARG…
	roleSetup      = "sallyport:bridge:setup"       // inside our own namespaces: COMMAND ARG…
	roleReaper     = "sallyport:bridge:reaper"      // what init and setup become: COMMAND ARG…
	roleReaperTTY  = "sallyport:bridge:reaper-tty"  // the same with a controlling terminal
	roleAttached   = "sallyport:bridge:attached"    // what attaches and then runs a command: DESCRIPTOR COMMAND ARG…
	roleProbeBwrap = "sallyport:bridge:probe-bwrap" // outside: BWRAP ARG…
	roleProbeInit  = "sallyport:bridge:probe-init"  // roleInit without a command: NETNS PIDNS
	roleProbeSetup = "sallyport:bridge:probe-setup" // roleSetup without a command: NETNS PIDNS
	roleProbeDoors = "sallyport:bridge:probe-doors" // inside, as the command: -
)

const (
	runningProgram = "/proc/self/exe"  // also when its file was replaced or removed
	selfInSandbox  = "/proc/self/fd/4" // fdSelf: bwrap's file system need not show the program
	messagePrefix  = "sallyport: "     // before everything that is said on the command's standard error
)

// errorPrefix is what the errors of this package begin with.
const errorPrefix = "bridge: "

// errNotAlone is the answer to somebody who runs a role by hand.
var errNotAlone = errors.New("bridge: this is a part of Sallyport that only Sallyport starts")

// initialised records that Init was called: without it, the program that is
// re-executed would run its own main instead, over and over.
var initialised atomic.Bool

func runRole() {
	initialised.Store(true)
	if len(os.Args) < 3 { // every role has an argument
		return
	}
	roles := map[string]func([]string) error{
		roleSupervise:  supervise,
		roleInit:       initInside,
		roleSetup:      setupInside,
		roleReaper:     reap,
		roleReaperTTY:  reapTTY,
		roleAttached:   reapAttached,
		roleProbeBwrap: probeBwrap,
		roleProbeInit:  probeInit,
		roleProbeSetup: probeSetup,
		roleProbeDoors: probeDoors,
	}
	role, ok := roles[os.Args[1]]
	if !ok {
		return
	}
	// Capabilities, no_new_privs and parent-death signals belong to threads.
	runtime.LockOSThread()
	os.Exit(report(role(os.Args[2:])))
}

// report says what went wrong, if anything, and returns the status to exit with.
func report(err error) int {
	if err == nil {
		return 0
	}
	status := ExitFailed
	if e, ok := err.(*exitError); ok {
		status = e.status
		if e.message == "" {
			return status
		}
	}
	// Which of our packages it comes from tells a user nothing.
	fmt.Fprintf(os.Stderr, "%s%s\n", messagePrefix, strings.TrimPrefix(err.Error(), errorPrefix))
	return status
}

// exitError is how a role ends with a status of its own.
type exitError struct {
	status  int
	message string // "" says nothing
}

func (e *exitError) Error() string { return e.message }

// exited turns the way a process ended into the way this one should end.
func exited(ws unix.WaitStatus) error {
	switch {
	case ws.Signaled():
		return &exitError{status: 128 + int(ws.Signal())}
	case ws.ExitStatus() != 0:
		return &exitError{status: ws.ExitStatus()}
	}
	return nil
}

// isControl reports whether fd is a control socket, as opposed to whatever is
// there when somebody runs the program with a role's name by hand.
func isControl(fd int) bool {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && typ == unix.SOCK_SEQPACKET
}
