// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package apache puts the Apache HTTP Server as a forward proxy, with mod_proxy_connect and nothing that forwards plain
// requests, through the suite. Targets are compared as the client wrote them, host and port at once, by regular
// expressions; conditions on the request turn away what its parser lets pass. What it cannot do is written in
// baseline.txt, with the reason.
package apache

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
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
	program := backend.Program(t, "apache2")
	conformance.Run(t, conformance.Backend{
		Name:    "apache",
		Version: strings.TrimPrefix(backend.Version(t, program, "-v"), "Server version: "),
		Features: conformance.Features(
			conformance.TCP, conformance.Wildcards, conformance.DeepWildcards, conformance.PortRules, conformance.DeathReport),
		Known: backend.Baseline(baseline),
		Start: func(ctx context.Context, c conformance.Config) (*conformance.Instance, error) {
			return start(ctx, program, c)
		},
	}, backend.Reports()...)
}

func start(ctx context.Context, program string, c conformance.Config) (*conformance.Instance, error) {
	text, err := configFile(c)
	if err != nil {
		return nil, err
	}
	config, err := backend.WriteFile(c.Dir, "apache.conf", text)
	if err != nil {
		return nil, err
	}
	// -C comes before the file; it is how the configuration learns the port.
	return backend.External(ctx, c, external.Spec{
		Argv: []string{program, "-D", "FOREGROUND", "-C", "Listen 127.0.0.1:{port}", "-f", config}})
}

// head is the configuration for every policy. The modules are those it cannot do without, so that nothing forwards
// plain requests. Apache insists on another user when it is started as root; #65534 is nobody.
const head = `ServerRoot %[1]q
ServerName localhost
DefaultRuntimeDir %[1]q
PidFile "%[1]s/pid"
Mutex pthread
User "#65534"
Group "#65534"
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule allowmethods_module /usr/lib/apache2/modules/mod_allowmethods.so
LoadModule reqtimeout_module /usr/lib/apache2/modules/mod_reqtimeout.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_connect_module /usr/lib/apache2/modules/mod_proxy_connect.so
ErrorLog /dev/stderr
LogLevel warn
ErrorDocument 403 "%%{REQUEST_URI} is not allowed"
TraceEnable off
HttpProtocolOptions Strict
RequestReadTimeout header=%[2]d
ProxyRequests On
ProxyVia Off
AllowCONNECT %[3]s
<Location "/">
AllowMethods CONNECT
</Location>
<Proxy "*">
AllowMethods CONNECT
Require all denied
</Proxy>
`

// admit is a section for one rule. Sections that come later win.
const admit = `<ProxyMatch %q>
<RequireAll>
Require expr "req('Content-Length') == '' && req('Transfer-Encoding') == ''"
Require expr "%%{SERVER_PROTOCOL} in {'HTTP/1.0', 'HTTP/1.1'}"
</RequireAll>
</ProxyMatch>
`

// configFile denies by default and admits what the rules name.
func configFile(c conformance.Config) (string, error) {
	if len(c.Deny) > 0 {
		return "", errors.New("backends: apache is asked for no deny rules: they would not see addresses")
	}
	allow, err := rules.ParseAll(c.Allow)
	if err != nil {
		return "", err
	}
	timeout := c.HeadTimeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	var sections strings.Builder
	connect := []string{"443 80"}
	for _, r := range allow {
		if r.Kind == rules.Any || r.Kind == rules.Address {
			return "", fmt.Errorf("backends: apache does not look at addresses: %s", r.Line)
		}
		target, ports, err := pattern(r)
		if err != nil {
			return "", err
		}
		connect = append(connect, ports)
		fmt.Fprintf(&sections, admit, target)
	}
	seconds := int((timeout + time.Second - 1) / time.Second)
	return fmt.Sprintf(head, c.Dir, seconds, strings.Join(connect, " ")) + sections.String(), nil
}

// pattern returns the expression for the targets r admits, and its ports as AllowCONNECT takes them. AllowCONNECT is for
// all hosts together, so that the expression has to tell the ports of each apart.
func pattern(r rules.Rule) (target, ports string, err error) {
	host := "(?i)" + strings.TrimSuffix(r.Regexp(), "$") + ":"
	switch p := r.Ports; {
	case p == nil:
		return host + "(443|80)$", "443 80", nil
	case p.First == 1 && p.Last == 65535:
		return host + "[1-9][0-9]*$", "1-65535", nil
	case p.Last-p.First >= 1000:
		return "", "", fmt.Errorf("backends: apache compares ports as text, and %s has too many", r.Line)
	default:
		var all []string
		for n := int(p.First); n <= int(p.Last); n++ {
			all = append(all, strconv.Itoa(n))
		}
		return host + "(" + strings.Join(all, "|") + ")$", fmt.Sprintf("%d-%d", p.First, p.Last), nil
	}
}
