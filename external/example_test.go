// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"

	"github.com/sallyport-dev/sallyport/external"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// A tinyproxy with a policy of its own, started again when it crashes.
func ExampleSpec_Start() {
	spec := external.Spec{
		Argv: []string{"tinyproxy", "-d", "-c", "{config}"},
		Config: `Listen 127.0.0.1
Port {port}
Filter "{dir}/allow"
FilterExtended On
FilterDefaultDeny Yes
ConnectPort 443
`,
		Files:   map[string]string{"allow": `^github\.com$` + "\n"},
		Restart: &external.Restart{},
		Output:  os.Stderr,
	}
	h, err := spec.Start(context.Background())
	if err != nil {
		log.Fatal(err) // no proxy means no network: never go on without one
	}
	defer h.Close()

	cmd := exec.Command("git", "clone", "https://github.com/golang/example")
	cmd.Env = h.Environ(os.Environ())
	if err := cmd.Run(); err != nil {
		log.Print(err)
	}
}

// A proxy that an administrator has started.
func ExampleAttach() {
	h, err := external.Attach(context.Background(), external.Existing{
		Addr:  "127.0.0.1:3128",
		Probe: "example.com:443", // which this proxy denies
	})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close() // the proxy runs on
	select {
	case <-h.Done():
		fmt.Println(h.Err())
	default:
	}
}

// A mitmdump that intercepts everything, behind a filter that decides.
func ExampleChain() {
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"github.com"}})
	if err != nil {
		log.Fatal(err)
	}
	spec := external.Spec{
		Argv:       []string{"mitmdump", "--listen-host", "127.0.0.1", "--listen-port", "{port}", "--set", "confdir={dir}"},
		CABundle:   "{dir}/mitmproxy-ca-cert.pem",
		Unfiltered: true,
	}
	b := proxycore.BuiltIn{Config: proxycore.Config{Filter: filter}}
	h, err := external.Chain(context.Background(), b, spec.Start, external.ChainOptions{Lookup: proxycore.LookupHere})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	cmd := exec.Command("git", "clone", "https://github.com/golang/example")
	cmd.Env = h.Environ(os.Environ())
	if err := cmd.Run(); err != nil {
		log.Print(err)
	}
}
