// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command sallyport runs a command that reaches the hosts on an allowlist and
// nothing else:
//
//	sallyport run --allow example.com -- curl -sS https://example.com
//
// README.md in this directory is the reference.
package main

import (
	"os"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/bridge/internal/cli"
	_ "github.com/sallyport-dev/sallyport/bridge/internal/early" // SIGQUIT must not print stacks
)

func main() {
	bridge.Init()
	os.Exit(cli.Main(cli.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, os.Args[1:]))
}
