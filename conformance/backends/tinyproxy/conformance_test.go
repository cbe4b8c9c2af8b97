// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package tinyproxy puts tinyproxy, as strictly configured as it can be, through the suite. What it
// cannot do is written in baseline.txt, with the reason.
package tinyproxy

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/rules"
	"github.com/sallyport-dev/sallyport/external"
)

var (
	//go:embed baseline.txt
	baseline string
	//go:embed baseline-1.11.1.txt
	baselineOld string
)

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	program := backend.Program(t, "tinyproxy")
	version := backend.Version(t, program, "-v")
	conformance.Run(t, conformance.Backend{
		Name:    "tinyproxy",
		Version: version,
		Features: conformance.Features(
			conformance.TCP, conformance.Wildcards, conformance.DeepWildcards, conformance.DeathReport),
		Known: backend.Baseline(known(version)),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			return start(ctx, program, c)
		},
	}, backend.Reports()...)
}

// known joins the baselines for a version.
func known(version string) string {
	if strings.HasPrefix(version, "tinyproxy 1.11.1") {
		return baseline + baselineOld
	}
	return baseline
}

func start(ctx context.Context, program string, c conformance.Config) (*conformance.Instance, error) {
	filter, err := filterFile(c)
	if err != nil {
		return nil, err
	}
	if c.Port == 0 {
		if c.Port, err = backend.FreePort(); err != nil {
			return nil, err
		}
	}
	filterPath, err := backend.WriteFile(c.Dir, "filter", filter)
	if err != nil {
		return nil, err
	}
	refusal, err := backend.WriteFile(c.Dir, "403.html", refusalPage)
	if err != nil {
		return nil, err
	}
	config, err := backend.WriteFile(c.Dir, "tinyproxy.conf", configFile(c.Port, filterPath, refusal, c.HeadTimeout))
	if err != nil {
		return nil, err
	}
	return backend.External(ctx, c, external.Spec{Argv: []string{program, "-d", "-c", config}})
}

// refusalPage names the target, as the page tinyproxy comes with does not.
const refusalPage = "<!DOCTYPE html><title>{errno} {cause}</title><p>{request}: {detail}\n"

// configFile denies by default and allows what the filter names, on the two ports a line without a port
// means. Timeout is the only time limit there is: it also ends tunnels that are idle for so long.
func configFile(port int, filter, refusal string, timeout time.Duration) string {
	if timeout == 0 {
		timeout = 10 * time.Minute
	}
	seconds := int((timeout + time.Second - 1) / time.Second)
	return fmt.Sprintf(`Listen 127.0.0.1
Port %d
Allow 127.0.0.1
Timeout %d
MaxClients 200
LogLevel Connect
Filter %q
FilterExtended On
FilterDefaultDeny Yes
ConnectPort 443
ConnectPort 80
DisableViaHeader Yes
ErrorFile 403 %q
`, port, seconds, filter, refusal)
}

// filterFile translates the policy, or refuses what tinyproxy has no words for: it matches host names
// alone, without regard to the port or to what a name resolves to, and knows no exceptions.
func filterFile(c conformance.Config) (string, error) {
	if len(c.Deny) > 0 {
		return "", errors.New("backends: tinyproxy has no deny rules beside its allow list")
	}
	allow, err := rules.ParseAll(c.Allow)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range allow {
		switch {
		case r.Ports != nil:
			return "", fmt.Errorf("backends: tinyproxy cannot allow a port for one host only: %s", r.Line)
		case r.Kind == rules.Any, r.Kind == rules.Address:
			return "", fmt.Errorf("backends: tinyproxy does not look at addresses: %s", r.Line)
		}
		b.WriteString(r.Regexp() + "\n")
	}
	if b.Len() == 0 {
		// An empty filter would be no filter, and a line is only read up to its first blank.
		b.WriteString("^/$\n") // no host name holds a slash
	}
	return b.String(), nil
}
