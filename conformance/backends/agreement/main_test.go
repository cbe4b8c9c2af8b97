// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package agreement holds the answers of "sallyport check" and of the live built-in proxy against each
// other: whoever asks beforehand must be told what will happen.
package agreement

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport/bridge"
)

// command is the built program.
var command string

func TestMain(m *testing.M) {
	bridge.Init()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "agreement-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	command = filepath.Join(dir, "sallyport")
	build := exec.Command("go", "build", "-o", command, "github.com/sallyport-dev/sallyport/bridge/cmd/sallyport")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "agreement: the command does not build:", err)
		return 1
	}
	return m.Run()
}
