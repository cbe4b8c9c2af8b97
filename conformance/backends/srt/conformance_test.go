// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package srt puts the sandbox runtime of the npm package @anthropic-ai/sandbox-runtime through the suite: its
// command srt, with its own proxy, bubblewrap and socat. A port is written behind every domain, because an entry without
// one admits them all; strictAllowlist is on, so that nobody is asked; private and other special blocks are added
// to the addresses that names may not have, since by default only some are in it; nothing may be written. The proxy
// lives as long as the command, so that there is none to reach from outside, and Stop ends every srt that was started. It runs on the version of Node.js that the
// package asks for. Every connection of the suite is a sandbox of its own, which takes a second; therefore ./scripts/test
// runs the checks of the sandbox only, and scripts/peers all. What it does not do is written in baseline.txt, with the reason.
package srt

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/backend"
	"github.com/sallyport-dev/sallyport/conformance/backends/internal/rules"
)

//go:embed baseline.txt
var baseline string

// directory, below the user's cache, is where scripts/setup puts the package.
const directory = "sallyport/srt-0.0.83/node_modules"

func TestMain(m *testing.M) { backend.Main(m) }

func TestConformance(t *testing.T) {
	for _, name := range []string{"bwrap", "socat", "rg"} {
		backend.Program(t, name)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(cache, directory)
	program := backend.Program(t, filepath.Join(modules, "@anthropic-ai/sandbox-runtime/dist/cli.js"))
	node := filepath.Join(modules, "node-bin/bin/node")
	if _, err := os.Stat(node); err != nil {
		node = backend.Program(t, "node")
	}
	options := append(backend.Reports("SANDBOX-*"), conformance.TimeoutScale(2))
	conformance.Run(t, conformance.Backend{
		Name:     "srt",
		Version:  "0.0.83",
		Features: conformance.Features(conformance.Sandbox, conformance.DeepWildcards, conformance.PortRules, conformance.DenyRules),
		Known:    backend.Baseline(baseline),
		Start: func(_ context.Context, c conformance.Config) (*conformance.Instance, error) {
			return start(node, program, c)
		},
	}, options...)
}

// settings is what of srt's settings file is used here.
type settings struct {
	Network struct {
		AllowedDomains          []string `json:"allowedDomains"`
		DeniedDomains           []string `json:"deniedDomains"`
		DeniedResolvedAddresses []string `json:"deniedResolvedAddresses"`
		StrictAllowlist         bool     `json:"strictAllowlist"`
	} `json:"network"`
	Filesystem struct {
		DenyRead   []string `json:"denyRead"`
		AllowWrite []string `json:"allowWrite"`
		DenyWrite  []string `json:"denyWrite"`
	} `json:"filesystem"`
}

const special = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 " +
	"192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ::/128 ::1/128 " +
	"64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8"

func start(node, program string, c conformance.Config) (*conformance.Instance, error) {
	if c.SocketPath != "" {
		return nil, errors.New("backends: the proxy of srt is reached from its sandbox only")
	}
	if err := backend.Plain(c); err != nil {
		return nil, err
	}
	var s settings
	var err error
	if s.Network.AllowedDomains, err = domains(c.Allow, []int{443, 80}); err != nil {
		return nil, err
	}
	if s.Network.DeniedDomains, err = domains(c.Deny, nil); err != nil {
		return nil, err
	}
	s.Network.DeniedResolvedAddresses = strings.Fields(special)
	s.Network.StrictAllowlist = true
	s.Filesystem.DenyRead, s.Filesystem.AllowWrite, s.Filesystem.DenyWrite = []string{}, []string{}, []string{}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("backends: %w", err)
	}
	path, err := backend.WriteFile(c.Dir, "settings.json", string(text))
	if err != nil {
		return nil, err
	}
	mark := rand.Text()
	return &conformance.Instance{
		Stop: func(ctx context.Context) error { return backend.EndMarked(ctx, mark, time.Second) },
		Launch: func(ctx context.Context, l conformance.LaunchConfig) (*exec.Cmd, error) {
			cmd := exec.CommandContext(ctx, node, append([]string{program, "--settings", path, "--", l.Path}, l.Args...)...)
			cmd.Env = append(backend.WithoutProxies(os.Environ()), append(l.Env, backend.MarkVariable+"="+mark)...)
			return cmd, nil
		},
	}, nil
}

// mostPorts is how many ports of a range are written out, since srt has no ranges.
const mostPorts = 64

// domains writes policy lines as srt's entries; ports are those of a line that names none, nil for all.
func domains(lines []string, ports []int) ([]string, error) {
	all, err := rules.ParseAll(lines)
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, r := range all {
		host, on := r.Host, ports
		switch r.Kind {
		case rules.Exact:
		case rules.Deep:
			host = "*." + host
		default:
			return nil, fmt.Errorf("backends: srt has no entry for %s", r.Line)
		}
		if r.Ports != nil {
			on = nil
			wide := int(r.Ports.Last) - int(r.Ports.First)
			if wide >= mostPorts && wide < 65534 {
				return nil, fmt.Errorf("backends: srt has no ranges of ports, and there are too many in %s", r.Line)
			}
			for p := int(r.Ports.First); wide < mostPorts && p <= int(r.Ports.Last); p++ {
				on = append(on, p)
			}
		}
		if on == nil {
			out = append(out, host)
		}
		for _, p := range on {
			out = append(out, fmt.Sprintf("%s:%d", host, p))
		}
	}
	return out, nil
}
