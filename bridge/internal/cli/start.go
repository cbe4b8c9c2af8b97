// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport-dev/sallyport/external"
	"github.com/sallyport-dev/sallyport/external/trust"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// start starts the proxy, or both. Closing the handle ends both. On an error nothing is left but
// what close removes.
func (b *backend) start(ctx context.Context, built proxycore.BuiltIn) (*proxycore.Handle, error) {
	if err := b.pin(); err != nil {
		return nil, err
	}
	built.Config.Upstream, built.Config.Route = b.upstream, b.route
	if b.launch == nil {
		return built.Start(ctx)
	}
	dir, err := os.MkdirTemp("", "sallyport-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the external proxy: %w", err)
	}
	b.dir = dir
	if b.root, err = os.OpenRoot(dir); err != nil {
		return nil, fmt.Errorf("opening the directory for the external proxy: %w", err)
	}
	if b.conceal {
		if err := b.moveTemp(); err != nil {
			return nil, err
		}
	}
	if b.intercept {
		b.expectTrust(&built)
	}
	return external.Chain(ctx, built, func(ctx context.Context) (*proxycore.Handle, error) {
		h, err := b.launch(ctx)
		if err != nil {
			return nil, err
		}
		b.behind = h
		if b.intercept {
			if err := writeTrust(h.CABundle(), built.CABundle, built.JavaTrustStore); err != nil {
				return nil, errors.Join(err, h.Close())
			}
		}
		return h, nil
	}, b.chain)
}

// pin has the command not put a socket of its own where the upstream's was, for which it would only have to
// rename a directory, and be sent the credentials.
func (b *backend) pin() (err error) {
	if b.conceal && b.upstream != nil {
		b.upstream, err = b.upstream.Pinned()
	}
	return err
}

// expectTrust says where the certificates will be.
func (b *backend) expectTrust(built *proxycore.BuiltIn) {
	// The bundle is written when the external proxy runs, since that may make its CA only now, and
	// before the built-in one does, so nobody is told of it before it is there.
	built.CABundle = filepath.Join(b.dir, "ca-bundle.pem")
	if hasJava() {
		built.JavaTrustStore = filepath.Join(b.dir, "truststore.p12")
	}
}

// moveTemp has what the external proxy keeps in files, which may be a socket that leads past the filter, a
// CA's key or an upstream's password, made in a directory that the sandbox does not see. Its name is
// short: the path of a socket has little room.
func (b *backend) moveTemp() error {
	dir := filepath.Join(b.dir, "p")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("making a directory for the external proxy: %w", err)
	}
	b.hide = append(b.hide, dir)
	b.temp = dir
	return nil
}

// writeTrust makes the files by which programs trust the external proxy, where they were said
// to be. store is "" where nothing would read it.
func writeTrust(ca, bundle, store string) error {
	dir := filepath.Dir(bundle)
	path, err := trust.Bundle(dir, ca)
	if err == nil && path != bundle {
		err = fmt.Errorf("the certificates are in %s, and clients were told of %s", path, bundle)
	}
	if err != nil || store == "" {
		return err
	}
	if path, err = trust.TrustStore(dir, bundle); err == nil && path != store {
		err = fmt.Errorf("the trust store is %s, and clients were told of %s", path, store)
	}
	return err
}

// close removes what start has made, and closes what newBackend has opened. The proxy must be
// closed before. It is idempotent.
func (b *backend) close() error {
	var problems []error
	if b.dir != "" {
		problems = append(problems, b.empty(), os.RemoveAll(b.dir))
		b.dir = ""
	}
	if b.output != nil {
		problems = append(problems, b.output.Close())
		b.output = nil
	}
	return errors.Join(problems...)
}

// empty removes what is in the private directory, wherever the command may have moved that: the next one would
// find there what was hidden from this one.
func (b *backend) empty() error {
	if b.root == nil {
		return nil
	}
	defer b.root.Close()
	dir, err := b.root.Open(".")
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	problems := []error{err, dir.Close()}
	for _, name := range names {
		problems = append(problems, b.root.RemoveAll(name))
	}
	return errors.Join(problems...)
}
