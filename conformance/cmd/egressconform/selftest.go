// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"

	"github.com/sallyport-dev/sallyport/conformance"
)

// never is the Start of a backend that only serves to ask the suite about names.
func never(context.Context, conformance.Config) (*conformance.Instance, error) {
	return nil, errors.New("egressconform: nothing to start")
}

func (a *app) selftest(args []string) int { return a.wrong(errors.New("selftest")) }
