// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mattn/go-shellwords"
	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/external"
)

// unixPrefix marks a socket where a host and a port could stand.
const unixPrefix = "unix://"

// interceptor is the preset that opens TLS.
const interceptor = "mitmdump"

// externalFlags are the options about a proxy of the user's own behind the built-in one.
type externalFlags struct{ preset, cmd, addr, ca, log, flows word }

// define adds the options to set.
func (f *externalFlags) define(set *pflag.FlagSet) {
	f.preset.define(set, "external", "start the proxy `NAME` behind the filter, and go through it: "+strings.Join(external.Presets(), ", "))
	f.cmd.define(set, "external-cmd", "start the proxy `'CMD ARG...'` behind the filter; {port} or {socket} in it says where to listen. No shell sees it")
	f.addr.define(set, "external-addr", "go through a proxy that runs already at `ADDR`: HOST:PORT or unix:///PATH")
	f.ca.define(set, "external-ca", "have clients trust the CA in the PEM `FILE`, with which the proxy of --external-cmd or --external-addr intercepts TLS")
	f.log.define(set, "external-log", "append what the started proxy prints to `FILE` (default: only its last lines are shown, if it fails)")
	f.flows.define(set, "external-flows", "have mitmdump append what it reads, secrets included, to `FILE`, for mitmproxy to show")
}

// all are the options.
func (f *externalFlags) all() []*word {
	return []*word{&f.preset, &f.cmd, &f.addr, &f.ca, &f.log, &f.flows}
}

// which is the one of the three that names the proxy, or nil.
func (f *externalFlags) which() *word {
	for _, w := range []*word{&f.preset, &f.cmd, &f.addr} {
		if w.given() {
			return w
		}
	}
	return nil
}

// check refuses combinations that mean nothing, and values that can be judged as they stand.
func (f *externalFlags) check(up upstreamSettings) error {
	problems := []error{twice(f.all()...)}
	var named []string
	for _, w := range []*word{&f.preset, &f.cmd, &f.addr} {
		if w.given() {
			named = append(named, w.flag)
		}
	}
	const all = "--external, --external-cmd or --external-addr"
	switch {
	case len(named) > 1:
		problems = append(problems, fmt.Errorf("%s each name a proxy; leave all but one out", strings.Join(named, " and ")))
	case len(named) == 0 && f.ca.given():
		problems = append(problems, fmt.Errorf("%s needs %s: it is the CA of that proxy", f.ca.flag, all))
	case f.preset.given() && f.ca.given():
		problems = append(problems, fmt.Errorf("%s means nothing with %s: mitmdump's CA is found without it, and the others open no TLS", f.ca.flag, f.preset.flag))
	case len(named) == 0 && f.log.given():
		problems = append(problems, fmt.Errorf("%s needs --external or --external-cmd: it is for the output of a proxy that is started", f.log.flag))
	case f.addr.given() && f.log.given():
		problems = append(problems, fmt.Errorf("%s means nothing with %s: who started that proxy has its output", f.log.flag, f.addr.flag))
	}
	if len(named) == 0 && !up.url.given() && up.lookup.given() {
		problems = append(problems, fmt.Errorf("%s needs --upstream, %s: without another proxy names are looked up here", up.lookup.source, all))
	}
	if f.flows.given() && f.preset.value() != interceptor {
		problems = append(problems, fmt.Errorf("%s needs --external %s: no other proxy here reads what it carries", f.flows.flag, interceptor))
	}
	if len(named) > 0 && up.url.given() {
		problems = append(problems, f.checkUpstream(up))
	}
	_, presetErr := f.lookupPreset()
	_, cmdErr := f.argv()
	_, addrErr := f.existing()
	return errors.Join(append(problems, presetErr, cmdErr, addrErr)...)
}

// checkUpstream judges an upstream behind an external proxy, which only a proxy can use that is told
// of it by us.
func (f *externalFlags) checkUpstream(up upstreamSettings) error {
	if w := f.which(); w != &f.preset {
		return fmt.Errorf("%s with %s: this proxy has to be told of the upstream by its own configuration; do that, and leave %s out", up.url.source, w.flag, up.url.source)
	}
	if up.url.value == fromEnvironment {
		return fmt.Errorf("%s %s with %s: the proxies that are started here can be told of one upstream, not of different ones for different hosts; name its URL", up.url.source, fromEnvironment, f.preset.flag)
	}
	return nil
}

// lookupPreset finds the preset of --external.
func (f *externalFlags) lookupPreset() (p external.Preset, err error) {
	if !f.preset.given() || f.preset.empty() {
		return p, nil
	}
	if p, err = external.LookupPreset(f.preset.value()); err != nil {
		return p, at(f.preset.flag, err)
	}
	return p, nil
}

// argv splits --external-cmd as a shell would, and nothing more: what only a shell can do is an
// error, since the word would reach the program as it stands. The command may
// hold a secret, so no message shows any of it.
func (f *externalFlags) argv() ([]string, error) {
	if !f.cmd.given() || f.cmd.empty() {
		return nil, nil
	}
	p := &shellwords.Parser{}
	argv, err := p.Parse(f.cmd.value())
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: a quote or a bracket is not closed, or stands where only a shell could use it", f.cmd.flag)
	case p.Position >= 0:
		return nil, fmt.Errorf("%s: character %d is one that only a shell understands (; & | < >), and none is run; quote it, or name sh -c '...' as the command", f.cmd.flag, p.Position+1)
	case len(argv) == 0 || argv[0] == "":
		return nil, fmt.Errorf("%s names no command", f.cmd.flag)
	}
	if command := strings.Join(argv, "\x00"); strings.Contains(command, "{socket}") && (strings.Contains(command, "{port}") || strings.Contains(command, "{addr}")) {
		return nil, fmt.Errorf("%s: the proxy is to listen at {socket} or at a port, not both; leave one out", f.cmd.flag)
	}
	return argv, nil
}

// existing reads --external-addr. Its value is not shown: a URL with a password is easily
// put there.
func (f *externalFlags) existing() (e external.Existing, err error) {
	if !f.addr.given() || f.addr.empty() {
		return e, nil
	}
	if path, ok := strings.CutPrefix(f.addr.value(), unixPrefix); ok {
		if !filepath.IsAbs(path) {
			return e, fmt.Errorf("%s: the path of the socket is not absolute; write unix:///run/proxy.sock, with three slashes", f.addr.flag)
		}
		return external.Existing{Socket: path}, nil
	}
	host, port, err := net.SplitHostPort(f.addr.value())
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@ ") {
		return e, fmt.Errorf("%s is not HOST:PORT or unix:///PATH; write 127.0.0.1:3128, for instance (--upstream takes URLs, and credentials)", f.addr.flag)
	}
	return external.Existing{Addr: net.JoinHostPort(host, strconv.FormatUint(n, 10))}, nil
}
