// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package launcher

import "errors"

type program struct {
	exited, stopping chan struct{}
}

func run(Options, string, int) (*program, error) { return nil, errors.ErrUnsupported }

func (p *program) words() string { return "" }

func (p *program) status() string { return "" }

func (p *program) kill() {}

func (p *program) stop() {}

func (p *program) listens(int) (bool, error) { return false, errors.ErrUnsupported }
