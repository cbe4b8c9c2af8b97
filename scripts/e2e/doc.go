// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the end-to-end tests: the built sallyport command, with real clients, in the fake Internet. Each
// test is one that a person could type; `go test -v ./scripts/e2e` runs them as whoever you are, and scripts/test as
// root and as an ordinary user.
package e2e
