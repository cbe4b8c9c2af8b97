// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package launcher

import "github.com/sallyport-dev/sallyport/conformance/internal/refproxy"

// Faults of a launcher, beside those of the reference proxy.
const (
	FallsBack         refproxy.Fault = "falls-back"         // a program that cannot be started is replaced by no filter
	WaitsForTheDead   refproxy.Fault = "waits-for-the-dead" // a start waits for a program that has ended
	WordsLost         refproxy.Fault = "words-lost"         // nobody learns what the program said
	Leaks             refproxy.Fault = "leaks"              // a start that is given up leaves the program running
	ReadyOnConnect    refproxy.Fault = "ready-on-connect"   // whoever answers at the port is the program
	OpenAccepted      refproxy.Fault = "open-accepted"      // nobody asks whether the program filters
	ExposedAccepted   refproxy.Fault = "exposed-accepted"   // the program may listen on every address
	KillsFirst        refproxy.Fault = "kills-first"        // only the first process is ended
	KillsGroup        refproxy.Fault = "kills-group"        // what has left its process group is forgotten
	TermOnly          refproxy.Fault = "term-only"          // the program is asked to end, and no more
	DeathUnseen       refproxy.Fault = "death-unseen"       // nobody learns of the program's death
	FallsOpen         refproxy.Fault = "falls-open"         // after its death everything is let through
	TunnelsKept       refproxy.Fault = "tunnels-kept"       // the clients' connections outlive the program
	PipeUnread        refproxy.Fault = "pipe-unread"        // what the program says fills a pipe
	ArgumentsByShell  refproxy.Fault = "arguments-by-shell" // a shell reads the arguments
	EnvironmentPassed refproxy.Fault = "environment-passed" // the program gets the launcher's environment
	DescriptorsPassed refproxy.Fault = "descriptors-passed" // and its open descriptors
	ScratchKept       refproxy.Fault = "scratch-kept"       // the directory of a program is left behind
	OnePort           refproxy.Fault = "one-port"           // two starts at a time choose one port
	ReadyTooSoon      refproxy.Fault = "ready-too-soon"     // a program is ready once it runs
	ChildIgnored      refproxy.Fault = "child-ignored"      // who cannot launch starts its own proxy
)
