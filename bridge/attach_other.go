// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bridge

import (
	"context"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// attached and admitting exist for the sake of their methods: nothing makes one here.
type (
	attached struct {
		port int
		done chan struct{}
	}
	admitting struct{}
)

func (c AttachConfig) attach(context.Context) (*attached, error) {
	return nil, unsupported("a sandbox without a network")
}

func (a *attached) environ(base []string) []string { return base }

func (a *attached) close() error { return nil }

func (a *attached) exec([]string, []string) error {
	return unsupported("a sandbox without a network")
}

func (a Admission) start(context.Context, *proxycore.Handle) (*admitting, error) {
	return nil, unsupported("a control socket for sandboxes")
}

func (in *admitting) path() string { return "" }

func (in *admitting) sandboxes() int { return 0 }

func (in *admitting) setFilter(*proxycore.Filter) error { return nil }

func (in *admitting) close() error { return nil }
