// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge"
)

// doorList is the value of --allow-weaker: doors to be left open, separated by commas.
type doorList struct {
	doors []bridge.Door
	known []bridge.Door
}

// newDoorList returns a list that admits the sandbox's doors and those of extra.
func newDoorList(extra ...bridge.Door) doorList {
	return doorList{known: append(bridge.Doors(), extra...)}
}

// Set implements pflag.Value.
func (l *doorList) Set(value string) error {
	names := make([]string, len(l.known))
	for i, d := range l.known {
		names[i] = string(d)
	}
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(names, name) {
			hint := "the doors are " + strings.Join(names, ", ")
			if near := nearest(name, names); near != "" {
				hint = "did you mean " + near + "?"
			}
			return fmt.Errorf("%q is no door; %s", name, hint)
		}
		if d := bridge.Door(name); !slices.Contains(l.doors, d) {
			l.doors = append(l.doors, d)
		}
	}
	return nil
}

// String implements pflag.Value; there is no default to show.
func (l *doorList) String() string { return "" }

// Type implements pflag.Value.
func (l *doorList) Type() string { return "DOOR[,DOOR]" }

// doorFlags are the options of run about what the sandbox keeps shut.
type doorFlags struct {
	weaker  doorList
	sockets []string
	explain bool
}

// define adds the options to set.
func (f *doorFlags) define(set *pflag.FlagSet) {
	f.weaker = newDoorList()
	set.Var(&f.weaker, "allow-weaker", "leave these doors open; --explain lists them")
	set.StringArrayVar(&f.sockets, "host-socket", nil, "let the command connect to Unix sockets, and see the host's service socket at `PATH`")
	set.BoolVar(&f.explain, "explain", false, "print what the sandbox keeps shut, and how; a command is not needed then")
}

// check refuses what means nothing or cannot be meant.
func (f *doorFlags) check() error {
	var problems []error
	for _, path := range f.sockets {
		if path != "" && !filepath.IsAbs(path) {
			problems = append(problems, fmt.Errorf("--host-socket %s is a relative path; write the whole path", path))
		}
	}
	return errors.Join(problems...)
}

// meaningless names the options that were given and mean nothing without a sandbox.
func (f *doorFlags) meaningless(transparent bool) (names []string) {
	for _, o := range []struct {
		name  string
		given bool
	}{
		{"--transparent", transparent},
		{"--allow-weaker", len(f.weaker.doors) > 0},
		{"--host-socket", len(f.sockets) > 0},
		{"--explain", f.explain},
	} {
		if o.given {
			names = append(names, o.name)
		}
	}
	return names
}

// explain prints what box keeps shut. holds is false when something that is to be shut is not.
func explain(ctx context.Context, w io.Writer, box bridge.Sandbox) (holds bool, err error) {
	states, err := box.Explain(ctx)
	if err != nil {
		return false, err
	}
	out := bufio.NewWriter(w)
	holds = true
	for _, s := range states {
		word, text := "shut", s.How
		switch {
		case s.Shut:
		case slices.Contains(box.Weaker, s.Door), s.Door == bridge.DoorUnixSockets && len(box.HostSockets) > 0:
			word, text = "open", s.Why
		default:
			word, text, holds = "OPEN", s.Why, false
		}
		fmt.Fprintf(out, "%-4s  %-20s %s\n", word, s.Door, s.Shuts)
		if text != "" {
			fmt.Fprintf(out, "      %-20s %s\n", "", text)
		}
	}
	if !holds {
		fmt.Fprintf(out, "What is OPEN cannot be shut here: no command runs unless --allow-weaker names it.\n")
	}
	return holds, out.Flush()
}
