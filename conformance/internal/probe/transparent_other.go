// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package probe

import "errors"

func tryRoutes() Result { return failed(errors.ErrUnsupported) }
