// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// way is a way to make a sandbox.
type way struct {
	mode Mode
	path string
	argv []string
}

// waysOf says how a sandbox of mode m is to be made here: as one of the modes, or, for Auto, as the first
// of two that works. Whether a mode works shows when it is used, by the supervisor; what is known already,
// because it was asked for (Probe) or because bwrap is not installed, is an error at once. ruledOut is
// why one of Auto's two is not among the ways.
func waysOf(m Mode) (ways []Mode, ruledOut, err error) {
	switch m {
	case Bwrap:
		err, known := probeKept(Bwrap)
		if !known {
			_, err = findBwrap()
		}
		return []Mode{Bwrap}, nil, err
	case UserNS:
		err, _ := probeKept(UserNS)
		return []Mode{UserNS}, nil, err
	case Auto, "":
	default:
		return nil, nil, unknownMode(m)
	}
	bwrap, _, noB := waysOf(Bwrap)
	own, _, noU := waysOf(UserNS)
	switch {
	case noB != nil && noU != nil:
		return nil, nil, noWay([]error{noB, noU})
	case noB != nil:
		return own, noB, nil
	case noU != nil:
		return bwrap, noU, nil
	}
	if _, works := probeKept(Bwrap); works {
		return bwrap, nil, nil
	}
	return append(bwrap, own...), nil, nil
}

func unknownMode(m Mode) error {
	return fmt.Errorf("bridge: unknown sandbox mode %q: write %s, %s or %s", m, Auto, Bwrap, UserNS)
}

// wayArgs are the arguments of a supervisor: its gate, the ways, separated by commas, how many words
// of bwrap's command line follow, those, and the command, to which the user of the library may
// append.
func wayArgs(gate string, modes []Mode, bwrap, command []string) []string {
	names := make([]string, len(modes))
	for i, m := range modes {
		names[i] = string(m)
	}
	args := append([]string{gate, strings.Join(names, ","), strconv.Itoa(len(bwrap))}, bwrap...)
	return append(args, command...)
}

// parseWays is the reverse of wayArgs.
func parseWays(args []string) (gate string, ways []way, err error) {
	if len(args) < 4 {
		return "", nil, errNotAlone
	}
	gate, names, rest := args[0], args[1], args[3:]
	n, err := strconv.Atoi(args[2])
	if err != nil || n < 0 || n >= len(rest) {
		return "", nil, errNotAlone
	}
	for name := range strings.SplitSeq(names, ",") {
		switch m := Mode(name); {
		case m == Bwrap && n > 0:
			ways = append(ways, way{m, rest[0], rest})
		case m == UserNS:
			ways = append(ways, way{m, runningProgram, append([]string{"sallyport-init", roleSetup}, rest[n:]...)})
		default:
			return "", nil, errNotAlone
		}
	}
	return gate, ways, nil
}

// attributes are those of the way's first process.
func (w way) attributes() (*syscall.SysProcAttr, error) {
	if w.mode == Bwrap {
		return nil, nil
	}
	sys, err := ownNamespaces()
	if err != nil {
		return nil, err
	}
	sys.Pdeathsig = unix.SIGKILL // this thread lasts as long as this process: see runRole
	return sys, nil
}

// failure says of the way that it has come to nothing, why, and what may be done.
func (w way) failure(err error) error {
	known := causes()
	if w.mode == Bwrap {
		return fmt.Errorf("bridge: sandbox mode bwrap: %s has made no sandbox%s: %w", w.path, known, inner{err})
	}
	if known == "" && errors.Is(err, unix.EPERM) {
		known = " (a seccomp filter, a security module or a chroot may forbid it: in Docker, " +
			"start the container with --security-opt seccomp=unconfined)"
	}
	return fmt.Errorf("bridge: sandbox mode userns: namespaces of our own have made no sandbox%s: %w", known, inner{err})
}

// noWay is the error when none of the ways works.
func noWay(failed []error) error {
	if len(failed) == 1 {
		return failed[0]
	}
	return fmt.Errorf("bridge: no way to make a sandbox without a network works here, so nothing is run: %w; %w",
		inner{failed[0]}, inner{failed[1]})
}

// missing adds to what failed why the other mode was not tried, if the packet with the parameters says so.
func missing(packet []byte, ways []way, failed []error) []error {
	var m message
	if json.Unmarshal(packet, &m) != nil || m.Params == nil || m.Params.RuledOut == "" {
		return failed
	}
	at := len(failed)
	if ways[0].mode == UserNS {
		at = 0 // bwrap comes first
	}
	return slices.Insert(failed, at, errors.New(m.Params.RuledOut))
}

// spoken is an error with what a process said on standard error before it ended as err says.
func spoken(said string, err error) error {
	text := strings.TrimSpace(said)
	if text == "" {
		return err
	}
	text = strings.ReplaceAll("\n"+text, "\n"+messagePrefix, "\n")[1:]
	return fmt.Errorf("%s (%w)", strings.ReplaceAll(text, "\n", "; "), err)
}
