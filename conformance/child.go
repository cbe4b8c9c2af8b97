// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"os"

	"github.com/sallyport-dev/sallyport/conformance/internal/child"
)

// Child is a proxy program that an instance has to start, watch and end. The zero value is a program that
// cannot be started.
type Child struct {
	// Path is the absolute path of the program.
	Path string

	// Args are the arguments behind its name. "{port}" in them stands for the TCP port of 127.0.0.1 the
	// program has to listen on; a backend with another placeholder puts its own in its place.
	Args []string
}

// ChildOf is the suite's own strict proxy as a program that enforces c. It is for backends of launchers which have
// no proxy of their own: what they start where Config.Child is nil, so that the ordinary checks say whether the
// launcher gets in the way of a proxy that does all it should.
//
// The program listens on {port} alone, understands every policy line of SPEC.md and gives reasons. ChildOf returns
// an error for what it cannot do: a socket, an upstream.
func ChildOf(c Config) (*Child, error) {
	if c.SocketPath != "" || c.Upstream != nil || c.Transparent {
		return nil, errors.New("conformance: the suite's own program makes no socket and no sandbox, and knows no upstream")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("conformance: finding the suite's own program: %w", err)
	}
	o := child.Options{Do: child.Serve, Allow: c.Allow, Deny: c.Deny, HeadTimeout: c.HeadTimeout}
	return &Child{Path: self, Args: o.Args()}, nil
}
