// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Here reports whether an action works in this process, or what an action with "-here" behind its name needs is there.
func Here(a Action) bool {
	switch a.Do {
	case "foreign-here": // it may end the process
		a.Do, a.Address, a.Apart = "foreign", "/", true
		return strings.HasPrefix(apart([]Action{a})[0].Detail, "connect: ") // the socket could be made
	case "keys-here":
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_PROCESS_KEYRING, true)
		return err == nil
	case "type-here":
		value, err := os.ReadFile("/proc/sys/dev/tty/legacy_tiocsti")
		return err != nil || strings.TrimSpace(string(value)) != "0" // before Linux 6.2 there is no such setting
	}
	return act(a).Done
}
