// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"context"
	"log"
	"os"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// A program outside that serves containers without a network, each of which has
// /run/a mounted, and lets them reach example.com.
func ExampleAdmission() {
	ctx := context.Background()
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"example.com"}})
	if err != nil {
		log.Fatal(err)
	}
	h, err := proxycore.BuiltIn{Port: -1, Config: proxycore.Config{Filter: filter}}.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	in, err := bridge.Admission{Path: "/run/a/a.sock", AllowUIDs: []uint32{1000}}.Start(ctx, h)
	if err != nil {
		log.Print(err) // says what is wrong with the path, and what to do
		return
	}
	defer in.Close()
	<-h.Done()
}

// The first program of such a container, which becomes the parent of another.
func ExampleAttach() {
	bridge.Init() // first thing in main

	a, err := bridge.Attach(context.Background(), bridge.AttachConfig{Socket: "/run/sallyport/a.sock"})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(a.Exec([]string{"make", "test"}, os.Environ())) // returns only an error
}
