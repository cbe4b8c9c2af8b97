// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package child is the program that launchers are tested with: a small proxy that does what its arguments say, well
// or badly. Any binary that imports this package becomes it when it is started with the right first argument, as it
// is with package probe, so that nothing has to be installed.
//
// Every process of a child connects to the suite's control socket before it does anything else, and holds that
// connection for as long as it lives: that is how the suite knows that a process has been there and that it is gone,
// without looking for processes and without waiting for nothing to happen.
package child

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Argument makes a binary that imports this package a child when it is its first argument.
const Argument = "egress-conformance-child"

// Port stands for the port in the arguments of a child; the backend replaces it.
const Port = "{port}"

// Behaviour is what a child does.
type Behaviour string

// Behaviours. What is no proxy waits for its end.
const (
	Serve    Behaviour = "serve"    // a strict proxy that enforces the policy
	Exit     Behaviour = "exit"     // says Words on standard error and exits with Status
	Mute     Behaviour = "mute"     // never listens
	Deaf     Behaviour = "deaf"     // listens, takes connections, and never answers
	Outrun   Behaviour = "outrun"   // says "port N", waits for "go", and stays when the port cannot be had
	Open     Behaviour = "open"     // a proxy that allows everything
	Exposed  Behaviour = "exposed"  // a strict proxy on every address of the host
	Daemon   Behaviour = "daemon"   // leaves its session, forks twice, and exits before it listens
	Stubborn Behaviour = "stubborn" // a strict proxy that ignores the request to terminate
	Family   Behaviour = "family"   // a strict proxy with a further process, see Options.Kin
	Flood    Behaviour = "flood"    // a strict proxy that says FloodBytes before it listens
	Late     Behaviour = "late"     // a strict proxy that takes LateBy before it listens

	kin  Behaviour = "kin"  // a further process of a child
	fork Behaviour = "fork" // starts a process and exits
)

// Kin of a Family.
const (
	Group   = "group"   // a process of the child's own group
	Session = "session" // one in a session of its own
	Orphan  = "orphan"  // one that was forked twice: its parent is gone
	Stray   = "stray"   // an orphan that has none of the child's environment either
)

// What children do is fixed, so that checks can ask for it.
const (
	Status = 3 // of Exit
	// FloodBytes is more than any pipe holds, and any buffer that somebody would put behind one.
	FloodBytes = 16 << 20
	LateBy     = 300 * time.Millisecond
)

// Commands that a process takes over the control socket.
const (
	Die      = "die"   // exits at once
	Pour     = "flood" // says FloodBytes, then "flooded" over the control socket
	Go       = "go"    // see Outrun
	poured   = "flooded"
	welcome  = "welcome"
	roleMain = "main"
)

// Main is the role of the process a launcher started; the other roles are those of the processes it starts.
const (
	Main     = roleMain
	Detached = "daemon"
)

// Options are what a child is told. The zero value is a child nobody watches.
type Options struct {
	Do Behaviour
	// Control is the path of the suite's socket; "" is for a child of the backend's own.
	Control     string
	Allow, Deny []string
	HeadTimeout time.Duration
	// Words are what Exit says.
	Words string
	// Kin is the further process of a Family.
	Kin string
	// Extra are arguments that mean nothing to the child.
	Extra []string

	role string
	port string
	next Behaviour // of fork
}

// End is the argument behind which those are that mean nothing to the child.
const End = "--"

// Args are the arguments behind the program's name, with Port in place of the port. There is nothing in them that a
// shell would take for its own, but for Extra.
func (o Options) Args() []string {
	if o.port == "" {
		o.port = Port
	}
	args := []string{Argument, "do=" + string(o.Do), "port=" + o.port}
	for name, value := range map[string]string{"control": o.Control, "words": o.Words, "kin": o.Kin, "role": o.role, "next": string(o.next)} {
		if value != "" {
			args = append(args, name+"="+value)
		}
	}
	if o.HeadTimeout > 0 {
		args = append(args, "head="+o.HeadTimeout.String())
	}
	slices.Sort(args[1:])
	for _, line := range o.Allow {
		args = append(args, "allow="+line)
	}
	for _, line := range o.Deny {
		args = append(args, "deny="+line)
	}
	if len(o.Extra) > 0 {
		args = append(append(args, End), o.Extra...)
	}
	return args
}

// parse reads the arguments behind Argument.
func parse(args []string) (o Options, err error) {
	o.role = roleMain
	for i, arg := range args {
		if arg == End {
			o.Extra = args[i+1:]
			break
		}
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "do":
			o.Do = Behaviour(value)
		case "port":
			o.port = value
		case "control":
			o.Control = value
		case "words":
			o.Words = value
		case "kin":
			o.Kin = value
		case "role":
			o.role = value
		case "next":
			o.next = Behaviour(value)
		case "head":
			o.HeadTimeout, err = time.ParseDuration(value)
		case "allow":
			o.Allow = append(o.Allow, value)
		case "deny":
			o.Deny = append(o.Deny, value)
		default:
			err = fmt.Errorf("unknown argument %q", arg)
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}
