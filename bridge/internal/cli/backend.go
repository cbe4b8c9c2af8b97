// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport/external"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// backend is the proxy that a subcommand starts: the built-in one, which filters, alone or with
// another one behind it.
type backend struct {
	upstream  *proxycore.Upstream                                 // nil: none
	route     func(proxycore.Target) (*proxycore.Upstream, error) // nil: none
	launch    func(context.Context) (*proxycore.Handle, error)    // nil: no external proxy
	chain     external.ChainOptions
	ca        string            // PEM file of the external proxy's CA, if it was named
	intercept bool              // whether the external proxy intercepts TLS
	output    io.Closer         // nil: none
	started   bool              // whether launch starts the external proxy, or else finds it running
	behind    *proxycore.Handle // the external proxy, set by start
	conceal   bool              // whether the external proxy's files are to be where no sandbox sees them
	secret    string            // name of the variable with the credentials, or ""
	hide      []string          // files and sockets that a sandbox must not see
	dir       string            // private directory, made by start, or ""
	root      *os.Root          // the same, wherever it is moved; nil: none
	temp      string            // part of it for the external proxy's files, or "" for the usual place
}

// prepare checks the options about other proxies against each other and reads what they name.
func prepare(p *policy, ext *externalFlags) (*backend, error) {
	if err := ext.check(p.upstream); err != nil {
		return nil, err
	}
	b, err := newBackend(p.upstream, ext)
	if err != nil {
		return nil, err
	}
	for _, name := range p.secret {
		if path := hiddenFile(name); path != "" {
			b.hide = append(b.hide, path)
		}
	}
	return b, nil
}

// newBackend reads everything that the settings name, so that what is wrong with it is
// known before anything is started. The caller closes it.
func newBackend(up upstreamSettings, ext *externalFlags) (*backend, error) {
	b := &backend{}
	cred, err := b.credentials(up)
	if err != nil {
		return nil, err
	}
	if ext.which() != nil {
		err = b.useExternal(up, cred, ext)
	} else if up.url.given() {
		err = b.useUpstream(up, cred)
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// credentials reads those that the settings name, nil for none.
func (b *backend) credentials(up upstreamSettings) (*credentials, error) {
	if !up.credentials.given() {
		return nil, nil
	}
	cred, err := readCredentials(up.credentials)
	if err != nil {
		return nil, err
	}
	if name, ok := strings.CutPrefix(up.credentials.value, envPrefix); ok {
		b.secret = name
	} else if path := hiddenFile(up.credentials.value); path != "" {
		b.hide = append(b.hide, path)
	}
	return &cred, nil
}

// useUpstream has the built-in proxy go through an upstream.
func (b *backend) useUpstream(up upstreamSettings, cred *credentials) error {
	lookup := up.lookupOr(proxycore.LookupUpstream)
	if up.url.value == fromEnvironment {
		return b.useEnvironment(up, cred, lookup)
	}
	u, err := proxycore.ParseUpstream(up.url.value)
	if err == nil && cred != nil {
		u, err = u.WithCredentials(cred.user, cred.password)
	}
	if err != nil {
		return at(up.url.source, err)
	}
	b.upstream = u.WithLookup(lookup)
	b.hideSocket(up.url.value)
	return nil
}

// hideSocket has a sandbox not see the socket of an upstream, by which it would get past the filter.
func (b *backend) hideSocket(text string) {
	if u, err := url.Parse(text); err == nil && u.Scheme == "unix" {
		b.hide = append(b.hide, socketCover(u.Path)) // without the credentials, which stand where a host does
	}
}

// useEnvironment has the built-in proxy go where the proxy variables of this process point.
func (b *backend) useEnvironment(up upstreamSettings, cred *credentials, lookup proxycore.Lookup) error {
	env := os.Environ()
	route, err := proxycore.UpstreamFromEnvironment(env)
	if err != nil {
		return at(up.url.source+" "+fromEnvironment, err)
	}
	for _, entry := range env {
		value, ok := proxyVariable(entry)
		if ok && cred != nil && strings.Contains(value, "@") {
			return fmt.Errorf("%s: a proxy variable of the environment holds credentials, too; leave one of the two out", up.credentials.source)
		}
		b.hideSocket(value)
	}
	b.upstream = environUpstream()
	b.route = func(t proxycore.Target) (*proxycore.Upstream, error) {
		u, err := route(t)
		if u != nil && b.upstream != nil {
			u = b.upstream // which is the same, but that start may have pinned it
		}
		if err == nil && u != nil && cred != nil {
			u, err = u.WithCredentials(cred.user, cred.password)
		}
		if err != nil || u == nil {
			return nil, err
		}
		return u.WithLookup(lookup), nil
	}
	return nil
}

// proxyVariable gives the value of an entry of an environment that may name the upstream.
func proxyVariable(entry string) (value string, ok bool) {
	name, value, _ := strings.Cut(entry, "=")
	switch name {
	case "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy":
		return value, true
	}
	return "", false
}

// environUpstream gives the upstream that the environment names. That the variables can be used is known.
func environUpstream() *proxycore.Upstream {
	for _, name := range []string{"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"} { // the first one counts
		if value, found := os.LookupEnv(name); found {
			if !strings.Contains(value, "://") {
				value = "http://" + value
			}
			u, _ := proxycore.ParseUpstream(value)
			return u
		}
	}
	return nil
}

// useExternal prepares the start of the external proxy, or the way to one that runs.
func (b *backend) useExternal(up upstreamSettings, cred *credentials, ext *externalFlags) error {
	b.chain.Lookup = up.lookupOr(proxycore.LookupHere)
	if ext.ca.given() {
		path, err := filepath.Abs(ext.ca.value())
		if err != nil {
			return at(ext.ca.flag, err)
		}
		b.ca, b.intercept = path, true
	}
	if ext.addr.given() {
		e, err := ext.existing()
		if err != nil {
			return err
		}
		e.CABundle, e.Unfiltered = b.ca, true
		if e.Socket != "" {
			b.hide = append(b.hide, socketCover(e.Socket))
		}
		b.launch = func(ctx context.Context) (*proxycore.Handle, error) { return external.Attach(ctx, e) }
		return nil
	}
	flows, err := b.openFlows(ext)
	if err != nil {
		return err
	}
	spec, err := ext.spec(up, cred, flows)
	if err != nil {
		return err
	}
	if b.ca != "" {
		spec.CABundle = b.ca
	}
	b.intercept = spec.CABundle != ""
	b.chain.User, b.chain.Password = spec.Credentials()
	if ext.log.given() {
		w, err := openOutput(ext.log.value())
		if err != nil {
			return at(ext.log.flag, err)
		}
		spec.Output, b.output = w, w
	}
	b.launch = func(ctx context.Context) (*proxycore.Handle, error) {
		spec.TempDir = b.temp
		return spec.Start(ctx)
	}
	b.started = true
	return nil
}

// openFlows makes the file of --external-flows, "" for none, so that nobody else can read it. A sandbox
// does not see it: it holds what earlier commands sent, and is a record of what this one sends.
func (b *backend) openFlows(ext *externalFlags) (path string, err error) {
	if !ext.flows.given() {
		return "", nil
	}
	if path, err = filepath.Abs(ext.flows.value()); err != nil {
		return "", at(ext.flows.flag, err)
	}
	f, err := openOutput(path)
	if err != nil {
		return "", at(ext.flows.flag, err)
	}
	b.hide = append(b.hide, path)
	return path, f.Close()
}

// spec is how the external proxy is started. It admits everything: the built-in one in front of
// it is the filter.
func (f *externalFlags) spec(up upstreamSettings, cred *credentials, flows string) (external.Spec, error) {
	if f.cmd.given() {
		argv, err := f.argv()
		socket := strings.Contains(strings.Join(argv, "\x00"), "{socket}")
		return external.Spec{Argv: argv, Unfiltered: true, Socket: socket}, err
	}
	p, err := f.lookupPreset()
	if err != nil {
		return external.Spec{}, err
	}
	upstream := up.url.value
	if cred != nil {
		u, err := url.Parse(upstream)
		if err != nil {
			return external.Spec{}, fmt.Errorf("%s: the upstream is not a URL", up.url.source)
		}
		u.User = url.UserPassword(cred.user, cred.password)
		upstream = u.String()
	}
	policy := external.Policy{Unfiltered: true, Upstream: upstream, FlowLog: flows}
	if roots := os.Getenv("SSL_CERT_FILE"); p.Name() == interceptor && filepath.IsAbs(roots) {
		policy.Roots = roots // whom this environment trusts is trusted by what opens TLS for it, too
	}
	spec, err := p.Spec(policy)
	if err != nil {
		return external.Spec{}, at(f.preset.flag, err)
	}
	return spec, nil
}
