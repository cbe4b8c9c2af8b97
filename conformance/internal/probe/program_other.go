// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package probe

import (
	"errors"
	"os/exec"
)

var inherited []string

// Descriptors are not known here.
func Descriptors() []string { return nil }

func look(*Report) {}

// endUnread has no counterpart here, and there are no sandboxes either; block ends in the end.
func endUnread() {}

func killSelf(int) error { return errors.ErrUnsupported }

func detach(*exec.Cmd) {}

func tryRaw() Result { return failed(errors.ErrUnsupported) }

func tryConfigure() Result { return failed(errors.ErrUnsupported) }

func tryDoor(a Action) Result {
	if a.Do == "page" {
		return tryPage(a)
	}
	return failed(errors.ErrUnsupported)
}

// isHere: there is none of them here.
func isHere(door) bool { return false }

func beVictim(string) error { return errors.ErrUnsupported }

func tryUnshare(Action) Result { return failed(errors.ErrUnsupported) }
