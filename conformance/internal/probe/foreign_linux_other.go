// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !amd64

package probe

// tryForeign: on other machines than amd64 a program has only the system calls it was built for.
func tryForeign(Action) Result { return Result{Detail: "a program has one ABI on this machine"} }
