// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// controlFlags are the options of proxy about control sockets.
type controlFlags struct {
	specs       []string
	uids        []string
	limit       int
	transparent bool
}

// define adds the options to set.
func (f *controlFlags) define(set *pflag.FlagSet) {
	set.StringArrayVar(&f.specs, "control", nil, "make a control socket for sandboxes (sallyport attach) at `PATH[=POLICYFILE]`, with a policy of its own; repeat for more")
	set.StringSliceVar(&f.uids, "control-uid", nil, "let this `UID` connect to the control sockets, too; repeat for more")
	set.IntVar(&f.limit, "control-limit", bridge.DefaultMaxSandboxes, "admit at most `N` sandboxes at once at each control socket")
	set.BoolVar(&f.transparent, "transparent", false, "let sandboxes at the control sockets be transparent (sallyport attach --transparent)")
}

// control is one control socket and its policy.
type control struct {
	path string
	file string // of its own policy, or ""
	own  *policy
	in   *bridge.Admitting // once started
}

// load reads the policies of the control sockets. main is the proxy's own policy.
func (f *controlFlags) load(main *policy) (controlSockets, error) {
	var problems []error
	_, err := f.users()
	problems = append(problems, err)
	if f.limit < 1 {
		problems = append(problems, fmt.Errorf("--control-limit %d admits nobody; write 1 or more", f.limit))
	}
	var all controlSockets
	seen := make(map[string]bool)
	for _, spec := range f.specs {
		c := &control{path: spec}
		if i := strings.IndexByte(spec, '='); i >= 0 {
			c.path, c.file = spec[:i], spec[i+1:]
		}
		switch {
		case c.path == "" || c.file == "" && c.path != spec:
			problems = append(problems, fmt.Errorf("--control %s is not PATH or PATH=POLICYFILE", spec))
			continue
		case seen[filepath.Clean(c.path)]:
			problems = append(problems, fmt.Errorf("--control %s is there twice; one socket has one policy", c.path))
			continue
		}
		seen[filepath.Clean(c.path)] = true
		all = append(all, c)
		if c.file != "" {
			c.own, err = c.load(main)
			problems = append(problems, err)
		}
	}
	if len(f.specs) == 0 && (len(f.uids) > 0 || f.transparent) {
		problems = append(problems, errors.New("--control-uid and --transparent are about control sockets; name one with --control PATH"))
	}
	return all, errors.Join(problems...)
}

// load reads the policy of c. It says what is allowed and denied; how names are found and
// which way connections go is the proxy's.
func (c *control) load(main *policy) (*policy, error) {
	p, err := (&policyFlags{files: []string{c.file}}).load()
	if err != nil {
		return nil, err
	}
	for name, addrs := range p.hosts {
		if !slices.Equal(addrs, main.hosts[name]) {
			return nil, fmt.Errorf("%s: resolve is the same for the whole proxy, and pins %s differently; write it into a file of --policy, or as --resolve", c.file, name)
		}
	}
	if p.upstream.url.given() && !p.upstream.same(main.upstream) {
		return nil, fmt.Errorf("%s: upstream is the same for the whole proxy; write it into a file of --policy, or as --upstream", c.file)
	}
	return p, nil
}

// users are the numbers of --control-uid.
func (f *controlFlags) users() (uids []uint32, err error) {
	var problems []error
	for _, text := range f.uids {
		uid, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			problems = append(problems, fmt.Errorf("--control-uid %q is not a user id, a number", text))
			continue
		}
		uids = append(uids, uint32(uid))
	}
	return uids, errors.Join(problems...)
}

// filter is the socket's own policy, nil for the proxy's.
func (c *control) filter() *proxycore.Filter {
	if c.own == nil {
		return nil
	}
	return c.own.filter
}

// controlSockets are all of a proxy.
type controlSockets []*control

// warn prints what the policies admit and may not be meant.
func (all controlSockets) warn(w io.Writer) {
	for _, c := range all {
		if c.own != nil {
			warn(w, c.own.filter)
		}
	}
}

// start makes the sockets. They end with h.
func (all controlSockets) start(h *proxycore.Handle, f *controlFlags, ops *slog.Logger) error {
	uids, err := f.users()
	for _, c := range all {
		if err != nil {
			return err
		}
		c.in, err = bridge.Admission{
			Path: c.path, Filter: c.filter(), MaxSandboxes: f.limit, AllowUIDs: uids, Transparent: f.transparent, Logger: ops,
		}.Start(context.Background(), h)
	}
	return err
}

// paths are where the sockets are.
func (all controlSockets) paths() (paths []string) {
	for _, c := range all {
		paths = append(paths, c.in.Path())
	}
	return paths
}

// ownPolicies reports whether some socket does not use the proxy's own policy.
func (all controlSockets) ownPolicies() bool {
	return slices.ContainsFunc(all, func(c *control) bool { return c.own != nil })
}

// reload reads the policies anew. All of them are valid, and commit puts them into force, or
// there is an error. main is the proxy's own policy.
func (all controlSockets) reload(main *policy) (commit func(ops *slog.Logger), err error) {
	var problems []error
	fresh := make([]*policy, len(all))
	for i, c := range all {
		if c.own != nil {
			fresh[i], err = c.load(main)
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return func(ops *slog.Logger) {
		for i, c := range all {
			if fresh[i] == nil {
				continue
			}
			c.own = fresh[i]
			if err := c.in.SetFilter(c.own.filter); err != nil {
				ops.Error("the sandboxes that are attached keep their old policy", "control", c.path, "err", err)
			}
		}
	}, nil
}
