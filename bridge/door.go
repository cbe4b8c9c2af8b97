// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import "context"

// Door is a way out of a sandbox other than the network, or a way to what could be one.
type Door string

// Doors of a sandbox. All of them are shut unless [Sandbox.Weaker] names them.
const (
	// DoorUnixSockets: Unix sockets that lead to a path. A path leads out of a network
	// namespace, and a read-only mount does not keep anybody from connecting. socketpair
	// works for streams and packets, whose ends cannot be sent elsewhere.
	DoorUnixSockets Door = "unix-sockets"
	// DoorHostServices: the sockets of the host's services (container engines, buses,
	// agents, displays, terminal multiplexers and whatever else listens at a path). It is a second
	// fence behind DoorUnixSockets, and the only one where that is open.
	DoorHostServices Door = "host-services"
	// DoorSocketFamilies: sockets that are not Internet, Unix or netlink (vsock, which leads
	// out of a network namespace, packet, alg, xdp, can, tipc, bluetooth and so on), and
	// Internet sockets that are not TCP, UDP or ICMP echo.
	DoorSocketFamilies Door = "socket-families"
	// DoorNetlink: netlink sockets other than NETLINK_ROUTE, from which the C library
	// learns the network interfaces.
	DoorNetlink Door = "netlink"
	// DoorIOUring: io_uring, whose operations no system call filter sees. Opening it opens
	// DoorUnixSockets, DoorSocketFamilies and DoorNetlink as well.
	DoorIOUring Door = "io-uring"
	// DoorForeignABI: the system calls of another architecture that this kernel also has (32-bit
	// and x32 programs). Opening it opens every door that a filter shuts.
	DoorForeignABI Door = "foreign-abi"
	// DoorKernelInterfaces: interfaces of the kernel that no build and no agent
	// needs (bpf, perf events, userfaultfd, keyrings, file handles, modules and so on), and system calls
	// newer than this library, which it cannot judge.
	DoorKernelInterfaces Door = "kernel-interfaces"
	// DoorTerminalInjection: typing into the terminal that the sandbox was started from.
	DoorTerminalInjection Door = "terminal-injection"
	// DoorHostVariables: environment variables by which programs find the host's services.
	DoorHostVariables Door = "host-variables"
)

// Doors returns all doors that [Sandbox.Weaker] can leave open.
func Doors() []Door {
	return []Door{
		DoorUnixSockets, DoorHostServices, DoorSocketFamilies, DoorNetlink, DoorIOUring,
		DoorForeignABI, DoorKernelInterfaces, DoorTerminalInjection, DoorHostVariables,
	}
}

// DoorState says whether a door is shut in a sandbox, and how.
type DoorState struct {
	// Door is the door's name: one of Doors, or that of one which can never be left open
	// (network, processes, privileges, descriptors, session).
	Door Door
	// Shuts says what is kept from the command, and How by what means.
	Shuts, How string
	// Shut reports whether it is shut, as a process in such a sandbox found out by trying.
	Shut bool
	// Why says why a door that is not shut is not, and what that lets through. Of one that
	// is shut it may say what of it this kernel does not have in the first place.
	Why string
}

// Explain makes a sandbox like s, tries every door in it, and returns what came of that. A door
// that this system cannot shut, so that Command would return an error, is no error
// here. s.BwrapArgs apply; what the command could reach through what they bring in is not looked for.
func (s Sandbox) Explain(ctx context.Context) ([]DoorState, error) { return s.explain(ctx) }
