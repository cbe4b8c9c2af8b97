// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"context"
	"errors"
	"slices"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/launcher"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// Launcher is the way in through a program that the reference launcher has started.
const Launcher Entry = "launcher"

// launch starts the program that c asks for, or else the reference proxy as one.
func launch(ctx context.Context, c conformance.Config, faults refproxy.Faults) (*conformance.Instance, error) {
	if c.Upstream != nil || c.SocketPath != "" || c.Transparent {
		return nil, errors.New("mutant: this entry has neither upstreams nor sockets nor sandboxes")
	}
	if c.Child == nil {
		own, err := conformance.ChildOf(c)
		if err != nil {
			return nil, err
		}
		c.Child = own
	}
	l, err := launcher.Start(ctx, launcher.Options{Path: c.Child.Path, Args: c.Child.Args, Port: c.Port, Log: c.Log, Faults: faults})
	if err != nil {
		return nil, err
	}
	return &conformance.Instance{
		Addr: l.Addr(), Done: l.Done(), Stop: l.Stop,
		Kill: func(context.Context) error { l.Kill(); return nil },
	}, nil
}

// unlaunched is what the other entries say to a program they are to start.
func unlaunched(c conformance.Config, faults refproxy.Faults) error {
	if c.Child != nil && !faults.Has(launcher.ChildIgnored) {
		return errors.New("mutant: this entry launches nothing")
	}
	return nil
}

func launcherFeatures() conformance.FeatureSet {
	return conformance.Features(
		conformance.Wildcards, conformance.DeepWildcards, conformance.AnyName, conformance.PortRules,
		conformance.AddressRules, conformance.DenyRules, conformance.Reasons, conformance.DeathReport,
		conformance.TCP, conformance.Launcher)
}

// What a fault of the start, of the end and of what is handed on could break.
var (
	starts   = []string{"EXTERNAL-00[1-8]*", "EXTERNAL-017*"}
	ends     = []string{"EXTERNAL-00[13689]*", "EXTERNAL-01[0129]*"}
	inherits = []string{"EXTERNAL-00[23]*", "EXTERNAL-01[0-7]*"}
)

// launcherMutants are the faults of launchers.
func launcherMutants() []Mutant {
	out := slices.Concat(startMutants(), endMutants(), inheritMutants())
	for i := range out {
		out[i].Entry = Launcher
	}
	return append(out, rows([]string{"*.unclaimed", "CONNECT-001*"},
		Mutant{Fault: launcher.ChildIgnored, Check: "EXTERNAL-018.unclaimed", Kind: oracle.Child, Entry: Bare})...)
}

func startMutants() []Mutant {
	return slices.Concat(rows(starts,
		Mutant{Fault: launcher.FallsBack, Check: "EXTERNAL-001.missing", Kind: oracle.Lifecycle},
		Mutant{Fault: launcher.FallsBack, Check: "EXTERNAL-001.not-executable", Kind: oracle.Lifecycle},
		Mutant{Fault: launcher.FallsBack, Check: "EXTERNAL-001.empty", Kind: oracle.Lifecycle},
		Mutant{Fault: launcher.WaitsForTheDead, Check: "EXTERNAL-002.at-once", Kind: oracle.Child},
		Mutant{Fault: launcher.Leaks, Check: "EXTERNAL-004.deadline", Kind: oracle.Child},
		Mutant{Fault: launcher.Leaks, Check: "EXTERNAL-004.cancelled", Kind: oracle.Child},
		Mutant{Fault: launcher.OpenAccepted, Check: "EXTERNAL-004.deaf", Kind: oracle.Child},
		Mutant{Fault: launcher.ReadyOnConnect, Check: "EXTERNAL-005.taken-before", Kind: oracle.Child},
		Mutant{Fault: launcher.ReadyOnConnect, Check: "EXTERNAL-005.taken-meanwhile", Kind: oracle.Child},
		Mutant{Fault: launcher.OpenAccepted, Check: "EXTERNAL-006.open", Kind: oracle.OriginDial},
		Mutant{Fault: launcher.ExposedAccepted, Check: "EXTERNAL-007.exposed", Kind: oracle.Child},
	), rows([]string{"EXTERNAL-00[124]*", "EXTERNAL-017*"}, // not where such a start is a matter of who is faster
		Mutant{Fault: launcher.ReadyTooSoon, Check: "EXTERNAL-017.first-request", Kind: oracle.Lifecycle},
	))
}

func endMutants() []Mutant {
	return rows(ends,
		Mutant{Fault: launcher.KillsFirst, Check: "EXTERNAL-008.daemon", Kind: oracle.Child},
		Mutant{Fault: launcher.KillsFirst, Check: "EXTERNAL-010.group", Kind: oracle.Child},
		Mutant{Fault: launcher.KillsFirst, Check: "EXTERNAL-010.session", Kind: oracle.Child},
		Mutant{Fault: launcher.KillsFirst, Check: "EXTERNAL-010.orphan", Kind: oracle.Child},
		Mutant{Fault: launcher.KillsFirst, Check: "EXTERNAL-010.after-death", Kind: oracle.Child},
		Mutant{Fault: launcher.KillsGroup, Check: "EXTERNAL-010.session", Kind: oracle.Child},
		Mutant{Fault: launcher.KillsGroup, Check: "EXTERNAL-019.stray", Kind: oracle.Child},
		Mutant{Fault: launcher.TermOnly, Check: "EXTERNAL-009.stubborn", Kind: oracle.Child},
		Mutant{Fault: launcher.DeathUnseen, Check: "EXTERNAL-011.reported", Kind: oracle.Lifecycle},
		Mutant{Fault: launcher.TunnelsKept, Check: "EXTERNAL-011.tunnels-end", Kind: oracle.ClientStream},
		Mutant{Fault: launcher.FallsOpen, Check: "EXTERNAL-011.fails-closed", Kind: oracle.OriginDial},
	)
}

func inheritMutants() []Mutant {
	return rows(inherits,
		Mutant{Fault: launcher.WordsLost, Check: "EXTERNAL-003.words", Kind: oracle.Child},
		Mutant{Fault: launcher.PipeUnread, Check: "EXTERNAL-012.before-ready", Kind: oracle.Child},
		Mutant{Fault: launcher.PipeUnread, Check: "EXTERNAL-012.while-serving", Kind: oracle.Child},
		Mutant{Fault: launcher.ArgumentsByShell, Check: "EXTERNAL-013.arguments", Kind: oracle.Child},
		Mutant{Fault: launcher.DescriptorsPassed, Check: "EXTERNAL-014.descriptors", Kind: oracle.Child},
		Mutant{Fault: launcher.EnvironmentPassed, Check: "EXTERNAL-014.variables", Kind: oracle.Child},
		Mutant{Fault: launcher.ScratchKept, Check: "EXTERNAL-015.stopped", Kind: oracle.Lifecycle},
		Mutant{Fault: launcher.ScratchKept, Check: "EXTERNAL-015.failed-start", Kind: oracle.Lifecycle},
		Mutant{Fault: launcher.OnePort, Check: "EXTERNAL-016.parallel", Kind: oracle.Child},
	)
}
