// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
)

func (s Sandbox) explain(context.Context) ([]DoorState, error) { return nil, errors.ErrUnsupported }
