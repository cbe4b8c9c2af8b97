// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command downstream is the library example of README.md, as a program: scripts/rehearse builds it outside the tree
// from the packed modules and runs it.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/proxycore"
)

func main() {
	bridge.Init() // this program is also the first process inside the sandbox
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"example.com"}})
	if err != nil {
		return err
	}
	proxy, err := proxycore.BuiltIn{
		Port: -1, // no port on the host: only the sandbox reaches the proxy
		Config: proxycore.Config{
			Filter: filter,
			Record: func(r proxycore.Record) error { return json.NewEncoder(os.Stderr).Encode(r) },
		},
	}.Start(ctx)
	if err != nil {
		return err
	}
	defer proxy.Close()
	cmd, err := bridge.Sandbox{Name: "demo"}.Command(ctx, proxy, "curl", "-sS", "https://example.com")
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
