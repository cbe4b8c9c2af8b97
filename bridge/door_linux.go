// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
)

// planDoors tells the process inside, by way of p, which doors to shut.
func (s Sandbox) planDoors(p *params) error {
	p.Weaker, p.HostSockets = s.Weaker, s.HostSockets
	return nil
}

// furnishDoors shuts the doors that mounts shut. It is called in the sandbox's mount
// namespace, by its first process, with CAP_SYS_ADMIN there.
func furnishDoors(params) error { return nil }

// shutDoors shuts the doors that a system call filter shuts. It is called without any
// capability and with no_new_privs, on the thread that then executes the reaper.
func shutDoors(params) error { return nil }

func (s Sandbox) explain(context.Context) ([]DoorState, error) { return nil, errors.ErrUnsupported }
