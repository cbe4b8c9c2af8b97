// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import "sync"

// door is something that kernels have or not, according to how they are built and configured.
type door string

const (
	doorVsock      door = "vsock"
	doorXDP        door = "xdp"
	doorRing       door = "io_uring"
	doorForeign    door = "another ABI"
	doorKeys       door = "keys"
	doorInterfaces door = "userfaultfd or perf_event_open"
	doorTyping     door = "typing for another"
)

// needed are the doors without which a check cannot fail, because there is nothing to leave open.
var needed = map[string]door{
	"SANDBOX-026.vsock":    doorVsock,
	"SANDBOX-027.families": doorXDP,
	"SANDBOX-029.connect":  doorRing,
	"SANDBOX-030.connect":  doorForeign,
	"SANDBOX-031.session":  doorKeys,
	"SANDBOX-032.opened":   doorInterfaces,
	"SANDBOX-033.typed":    doorTyping,
}

var here sync.Map // from door to bool

// Shows reports whether the kernel has what check needs to fail: those who expect a failure, of a mutant or of a
// backend with known ones, must not expect it elsewhere.
func Shows(check string) bool {
	d, ok := needed[check]
	if !ok {
		return true
	}
	if known, ok := here.Load(d); ok {
		return known.(bool)
	}
	is := isHere(d)
	here.Store(d, is)
	return is
}
