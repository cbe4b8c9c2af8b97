// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import "context"

// Door is a way out of a sandbox other than the network.
type Door string

// Doors of a sandbox. All of them are shut unless [Sandbox.Weaker] names them.
const (
	DoorUnixSockets       Door = "unix-sockets"
	DoorHostServices      Door = "host-services"
	DoorSocketFamilies    Door = "socket-families"
	DoorNetlink           Door = "netlink"
	DoorIOUring           Door = "io-uring"
	DoorForeignABI        Door = "foreign-abi"
	DoorKernelInterfaces  Door = "kernel-interfaces"
	DoorTerminalInjection Door = "terminal-injection"
	DoorHostVariables     Door = "host-variables"
)

// Doors returns all doors.
func Doors() []Door {
	return []Door{
		DoorUnixSockets, DoorHostServices, DoorSocketFamilies, DoorNetlink, DoorIOUring,
		DoorForeignABI, DoorKernelInterfaces, DoorTerminalInjection, DoorHostVariables,
	}
}

// DoorState says whether a door is shut in a sandbox, and how.
type DoorState struct {
	// Door is the door's name.
	Door Door
	// Shuts says what it keeps in, and How by what means.
	Shuts, How string
	// Shut reports whether it is shut.
	Shut bool
	// Why says why a door that is not shut is not, and what that lets through.
	Why string
}

// Explain returns the state that each door would have in this sandbox.
func (s Sandbox) Explain(ctx context.Context) ([]DoorState, error) { return s.explain(ctx) }
