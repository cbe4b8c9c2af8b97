// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// A program that runs a command which can reach github.com and nothing else, and
// prints what the command asked for.
func Example() {
	bridge.Init() // first thing in main

	ctx := context.Background()
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"github.com"}})
	if err != nil {
		log.Fatal(err)
	}
	proxy := proxycore.BuiltIn{Port: -1, Config: proxycore.Config{
		Filter: filter,
		Record: func(r proxycore.Record) error {
			_, err := fmt.Println(r.Sandbox, r.Decision, r.Host, r.Reason)
			return err
		},
	}}
	h, err := proxy.Start(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	cmd, err := bridge.Sandbox{Name: "clone", Filter: filter}.Command(ctx, h, "git", "clone", "https://github.com/golang/example")
	if err != nil {
		log.Print(err) // says what is missing, and how to mend it
		return
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		log.Print(err)
	}
}
