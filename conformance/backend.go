// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

// Backend is one egress proxy, one way into it, or one sandbox around it, as the suite sees it.
// A struct of functions rather than an interface: a field added later does not break old backends.
type Backend struct {
	// Name and Version appear in reports. Name must not be empty.
	Name, Version string

	// Features lists the optional behaviour and the entry points that the backend claims. Core
	// behaviour is never listed. A claimed feature's checks must all pass; for a policy feature that
	// is not claimed the suite checks instead that the backend refuses it cleanly.
	Features FeatureSet

	// Start starts one instance that enforces c. It returns when the instance accepts connections, or
	// with an error when it cannot do all that c asks; an instance that enforces only a part of c is
	// a hole, not a convenience. ctx bounds the start, not the life of the instance.
	Start func(ctx context.Context, c Config) (*Instance, error)

	// Known lists the checks this backend is known to fail; nil means none. It is strict: a listed
	// check that passes is a failure of the run.
	Known *Baseline

	// Restrictions say what this backend cannot be asked for. The zero value is none, as it should be wherever
	// the backend is written in Go.
	Restrictions Restrictions
}

// Restrictions are for backends the suite cannot configure as it likes: a proxy whose policy is fixed, a command
// line without a word for something. Checks that would need more do not apply, and the run is partial at best.
// The zero value restricts nothing.
type Restrictions struct {
	// Policy is the name of the only one of the suite's policies (package vectors) that the backend enforces;
	// "" means that it enforces any.
	Policy string

	// Shared says that there is one instance, which runs already and cannot be started a second time.
	Shared bool

	// HeadTimeout says that Config.HeadTimeout has no effect.
	HeadTimeout bool
}

// lines are the restrictions in words, for the report.
func (r Restrictions) lines() []string {
	var out []string
	if r.Policy != "" {
		out = append(out, "the policy is fixed: "+r.Policy)
	}
	if r.Shared {
		out = append(out, "there is one instance, which cannot be started anew")
	}
	if r.HeadTimeout {
		out = append(out, "the time a client has for its head cannot be set")
	}
	return out
}

// declines says why a backend with these restrictions cannot be asked for c, or "".
func (r Restrictions) declines(c Config, own bool) string {
	if r.Shared && own {
		return "the check starts an instance of its own, and there is one that cannot be started anew"
	}
	if r.Policy == "" {
		return ""
	}
	p := vectors.Policies()[r.Policy]
	if !slices.Equal(p.Allow, c.Allow) || !slices.Equal(p.Deny, c.Deny) {
		return "the check needs a policy other than " + r.Policy + ", and that one is fixed"
	}
	return ""
}

// check returns an error for a policy there is not.
func (r Restrictions) check() error {
	all := vectors.Policies()
	if _, ok := all[r.Policy]; r.Policy != "" && !ok {
		return fmt.Errorf("conformance: no policy is called %q; there are %s",
			r.Policy, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return nil
}

// Instance is one running proxy. The suite always calls Stop once it is done with it.
type Instance struct {
	// Addr is where clients reach the proxy: a *net.TCPAddr or a *net.UnixAddr. Nil means that it can
	// only be reached from inside the sandbox; the suite then sends every request from there, through
	// Launch.
	Addr net.Addr

	// SocketPath is the path of the unix socket that leads to the proxy, or "" when there is none.
	SocketPath string

	// CABundle is the path of the PEM file clients have to trust because the proxy intercepts TLS, or
	// "" when it does not.
	CABundle string

	// Stop ends the instance. When it returns no connection is accepted any more, every live tunnel
	// has seen its end and sockets are unlinked. It must be idempotent. The error is nil after a clean
	// stop.
	Stop func(ctx context.Context) error

	// Kill ends the proxy as its sudden death would, without a word to anybody, and returns when it is
	// dead. Nil when the backend cannot do it; needed for the feature DeathReport.
	Kill func(ctx context.Context) error

	// Done is closed when the proxy has died without being asked. Needed for the features DeathReport
	// and Launcher.
	Done <-chan struct{}

	// Launch prepares a command that runs inside the backend's sandbox, needed for the feature
	// Sandbox. It neither starts the command nor sets its Stdin, Stdout and Stderr: the suite does.
	// An instance may be asked for several sandboxes, one after another and at the same time.
	Launch func(ctx context.Context, c LaunchConfig) (*exec.Cmd, error)
}

// LaunchConfig is one command to run inside a sandbox.
type LaunchConfig struct {
	// Path is the absolute path of the program. It exists on the host; the sandbox must let it be
	// executed.
	Path string

	// Args are the arguments behind the program's name.
	Args []string

	// Env is added to the environment the sandbox gives its commands, as "NAME=value".
	Env []string
}
