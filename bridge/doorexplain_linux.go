// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// explanation is what can be said about a door without a look at the system.
type explanation struct {
	door             Door
	shuts, how, open string
}

const byFilter = "seccomp filter: "

var explanations = []explanation{
	{DoorUnixSockets, "Unix sockets that lead to a path of the host", byFilter + "socket(AF_UNIX) is EAFNOSUPPORT; pairs of datagram sockets are EPERM, other pairs work",
		"every socket file in sight that is not covered can be connected to, such as one made later"},
	{DoorHostServices, "sockets of the host's services: engines, buses, agents, displays, multiplexers", "mounts: covered by the null device or an empty directory, wherever they are in sight",
		"the sockets of the host's services are in sight; unix-sockets keeps them from being connected to"},
	{DoorSocketFamilies, "vsock, packet, alg, xdp, can, tipc, bluetooth and all other families; raw and other Internet protocols", byFilter + "EAFNOSUPPORT, EPROTONOSUPPORT or EPERM",
		"vsock leads to the host of a virtual machine, and the others are ways to attack the kernel"},
	{DoorNetlink, "netlink but for the list of interfaces and routes", byFilter + "EPROTONOSUPPORT for all but NETLINK_ROUTE",
		"netfilter, audit and other interfaces of the kernel can be reached, with capabilities in a user namespace of the command's own"},
	{DoorIOUring, "io_uring, which makes sockets without a system call", byFilter + "ENOSYS",
		"no filter sees what is asked for by io_uring: it opens unix-sockets, socket-families and netlink, too"},
	{DoorForeignABI, "system calls of 32-bit and x32 programs", byFilter + "a process that makes one is killed (x32: ENOSYS)",
		"they are judged by no filter: it opens all doors that a filter shuts"},
	{DoorKernelInterfaces, "bpf, perf events, userfaultfd, keyrings, file handles, modules, the kernel's log, system calls newer than this program", byFilter + "EPERM or ENOSYS",
		"what the kernel itself lets a process without capabilities do, and the keys of the host's session"},
	{DoorTerminalInjection, "typing into the terminal", byFilter + "ioctl TIOCSTI and TIOCLINUX are EPERM; session of its own",
		"the session of its own and the pty that Session.Run makes still keep the command from the terminal it was started from"},
	{DoorHostVariables, "variables that name the host's services", "removed from the environment, unless they name a socket that stays",
		"the command knows how the host's services are called, whether or not it can reach them"},
	{doorNetwork, "every network but the sandbox's own loopback interface", "network namespace", ""},
	{doorProcesses, "processes outside: signals, tracing, memory, /proc", "process namespace with a /proc of its own; process 1 cannot be traced", ""},
	{doorPrivileges, "capabilities, and ways to get them", "none left, not even in the bounding set; no_new_privs", ""},
	{doorDescriptors, "open files and sockets of the caller", "all but 0, 1 and 2 closed; sockets there are refused unless they are connected Unix streams", ""},
	{doorSession, "the caller's terminal session", "a session of its own", ""},
}

func (s Sandbox) explain(ctx context.Context) ([]DoorState, error) {
	missing := filterWorks()
	probe := s
	probe.Transparent, probe.Terminal, probe.Filter, probe.MaxConns, probe.Port = false, false, nil, 0, 0
	if missing != nil {
		probe.Weaker = append(slices.Clone(s.Weaker), filterDoors...)
	}
	tried, err := probe.tryDoors(ctx)
	if err != nil {
		return nil, err
	}
	var states []DoorState
	for _, e := range explanations {
		states = append(states, s.state(e, tried, missing))
	}
	return states, nil
}

// tryDoors has probeDoors run in the sandbox.
func (s Sandbox) tryDoors(ctx context.Context) ([]attempt, error) {
	around, err := lookAround()
	if err != nil {
		return nil, err
	}
	var p params
	if err := s.planDoors(&p); err != nil {
		return nil, err
	}
	services := slices.DeleteFunc(findServices(around), func(f service) bool { return slices.Contains(p.HostSockets, string(f.Path)) })
	input, err := json.Marshal(services)
	if err != nil {
		return nil, fmt.Errorf("bridge: list the host's sockets: %w", err)
	}
	h, err := proxycore.BuiltIn{Port: -1}.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("bridge: start a proxy to try the doors of a sandbox: %w", err)
	}
	defer h.Close()
	// What is open anyway is not tried: that could have the host load modules.
	open := slices.DeleteFunc(Doors(), func(d Door) bool { return !p.open(d) })
	cmd, err := s.Command(ctx, h, runningProgram, roleProbeDoors, strings.ReplaceAll("-, "+names(open), ", ", ","))
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("bridge: try the doors of a sandbox: %s (%w)", strings.TrimPrefix(strings.TrimSpace(said.String()), messagePrefix), err)
	}
	var tried []attempt
	if err := json.Unmarshal(out, &tried); err != nil {
		return nil, fmt.Errorf("bridge: learn what came of trying the doors of a sandbox: %w", err)
	}
	return tried, nil
}

// state sums up what was tried on one door.
func (s Sandbox) state(e explanation, tried []attempt, missing error) DoorState {
	d := DoorState{Door: e.door, Shuts: e.shuts, How: e.how, Shut: true}
	opened := params{Weaker: s.Weaker, HostSockets: s.HostSockets}.open(e.door)
	switch {
	case slices.Contains(s.Weaker, e.door):
		d.Shut, d.Why = false, "left open as asked for: "+e.open
		return d
	case opened:
		d.Shut, d.Why = false, "left open for host sockets: "+e.open
		return d
	case missing != nil && slices.Contains(filterDoors, e.door):
		d.Shut, d.Why = false, "cannot be shut here ("+inner{missing}.Error()+"): "+e.open
		return d
	}
	var notes []string
	for _, a := range tried {
		switch {
		case a.Door != e.door:
		case !a.Refused:
			d.Shut = false
			notes = append(notes, a.What+": "+a.Result)
		case a.Absent:
			notes = append(notes, a.What+": "+a.Result)
		}
	}
	d.Why = strings.Join(append(notes, notHere(e.door)...), "; ")
	return d
}

// notHere says what of a door this kernel has switched off anyway.
func notHere(d Door) []string {
	for _, k := range []struct {
		door             Door
		file, value, say string
	}{
		{DoorTerminalInjection, "/proc/sys/dev/tty/legacy_tiocsti", "0", "this kernel has TIOCSTI switched off (dev.tty.legacy_tiocsti)"},
		{DoorIOUring, "/proc/sys/kernel/io_uring_disabled", "2", "this kernel has io_uring switched off (kernel.io_uring_disabled)"},
	} {
		if b, err := os.ReadFile(k.file); k.door == d && err == nil && strings.TrimSpace(string(b)) == k.value {
			return []string{k.say}
		}
	}
	return nil
}
