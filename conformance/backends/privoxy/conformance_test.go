// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package privoxy puts Privoxy, as strictly configured as it can be, through the suite. Everything is blocked, and
// what the policy names is unblocked, with the ports of its line in the URL pattern; limit-connect admits every port, since the
// patterns name them. A tagger finds requests other than CONNECT, and they are blocked. The editor of the actions,
// the toggle and the way past a block (go-there-anyway) are off. The templates are Debian's. What it cannot do is written in
// baseline.txt, with the reason.
package privoxy

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/rules"
	"github.com/sallyport-dev/sallyport/external"
)

//go:embed baseline.txt
var baseline string

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	program := backend.Program(t, "privoxy")
	conformance.Run(t, conformance.Backend{
		Name:    "privoxy",
		Version: backend.Version(t, program, "--version"),
		Features: conformance.Features(
			conformance.TCP, conformance.Wildcards, conformance.DeepWildcards, conformance.PortRules,
			conformance.DenyRules, conformance.DeathReport),
		Known: backend.Baseline(baseline),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			return start(ctx, program, c)
		},
	}, backend.Reports()...)
}

func start(ctx context.Context, program string, c conformance.Config) (*conformance.Instance, error) {
	actions, err := actionsFile(c)
	if err != nil {
		return nil, err
	}
	if c.Port == 0 {
		if c.Port, err = backend.FreePort(); err != nil {
			return nil, err
		}
	}
	actionsPath, err := backend.WriteFile(c.Dir, "policy.action", actions)
	if err != nil {
		return nil, err
	}
	filterPath, err := backend.WriteFile(c.Dir, "policy.filter", tagger)
	if err != nil {
		return nil, err
	}
	config, err := backend.WriteFile(c.Dir, "config", configFile(c, actionsPath, filterPath))
	if err != nil {
		return nil, err
	}
	return backend.External(ctx, c, external.Spec{Argv: []string{program, "--no-daemon", config}})
}

// tagger marks every request with its method.
const tagger = "CLIENT-HEADER-TAGGER: method the method of the request\ns@^([^ ]+) [^ ]+ HTTP/1\\.[01]$@method:$1@i\n"

// configFile limits the time of a slow head by socket-timeout, the only limit there is, which also ends idle tunnels.
func configFile(c conformance.Config, actions, filter string) string {
	timeout := c.HeadTimeout
	if timeout == 0 {
		timeout = 10 * time.Minute
	}
	seconds := int((timeout + time.Second - 1) / time.Second)
	return fmt.Sprintf(`listen-address %s
templdir /etc/privoxy/templates
actionsfile %s
filterfile %s
toggle 1
enable-remote-toggle 0
enable-remote-http-toggle 0
enable-edit-actions 0
enforce-blocks 1
allow-cgi-request-crunching 1
accept-intercepted-requests 0
forwarded-connect-retries 0
socket-timeout %d
keep-alive-timeout %d
max-client-connections 256
debug 1024
`, net.JoinHostPort("127.0.0.1", fmt.Sprint(c.Port)), actions, filter, seconds, seconds)
}

// actionsFile translates the policy; the last pattern that matches decides.
func actionsFile(c conformance.Config) (string, error) {
	allow, err := rules.ParseAll(c.Allow)
	if err != nil {
		return "", err
	}
	deny, err := rules.ParseAll(c.Deny)
	if err != nil {
		return "", err
	}
	const block, unblock = "{+block{not on the list}}\n", "{-block}\n"
	var deep, names, denied strings.Builder
	for _, r := range allow {
		p, err := pattern(r, ":443,80")
		if err != nil {
			return "", err
		}
		if r.Kind == rules.Deep { // .example.com is the name and all below it
			deep.WriteString(unblock + p + block + r.Host + "/\n")
		} else {
			names.WriteString(unblock + p)
		}
	}
	for _, r := range deny {
		p, err := pattern(r, "")
		if err != nil {
			return "", err
		}
		if r.Kind == rules.Deep {
			return "", fmt.Errorf("backends: Privoxy cannot block what is below a name and not the name: %s", r.Line)
		}
		denied.WriteString(block + p)
	}
	return "{+block{not on the list} +limit-connect{1-65535} +client-header-tagger{method}}\n/\n" +
		deep.String() + names.String() + denied.String() + "{+block{CONNECT only}}\nTAG:^method:(?!CONNECT$)\n", nil
}

// pattern is a rule as a line of an actions file; ports are those of a rule that names none.
func pattern(r rules.Rule, ports string) (string, error) {
	if r.Ports != nil {
		ports = fmt.Sprintf(":%d-%d", r.Ports.First, r.Ports.Last)
	}
	switch r.Kind {
	case rules.Exact:
		return r.Host + ports + "/\n", nil
	case rules.One:
		return "?*." + r.Host + ports + "/\n", nil
	case rules.Deep:
		return "." + r.Host + ports + "/\n", nil
	}
	return "", fmt.Errorf("backends: Privoxy does not look at addresses: %s", r.Line)
}
