// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// compiledIn are the modules of which packages may be compiled into a program that imports proxycore and bridge.
// README.md promises this list.
var compiledIn = []string{
	"github.com/creack/pty", "golang.org/x/net", "golang.org/x/sync", "golang.org/x/sys", "golang.org/x/text",
	// What transparent sandboxes are made with: routes, and a redirect where a policy admits every port.
	"github.com/google/nftables", "github.com/mdlayher/netlink", "github.com/mdlayher/socket",
	"github.com/vishvananda/netlink", "github.com/vishvananda/netns",
}

// required are the modules that its go.mod names besides, of which nothing is compiled: tests of those above need them.
var required = []string{"github.com/google/go-cmp"}

// inGraph are the modules that may be named besides in such a program's module graph: what the command of bridge needs,
// and what go.mod files of those above name.
var inGraph = []string{
	"github.com/mattn/go-shellwords", "github.com/sallyport-dev/sallyport/external", "github.com/spf13/pflag",
	"go.yaml.in/yaml/v3", "software.sslmate.com/src/go-pkcs12",
	"golang.org/x/crypto", "golang.org/x/mod", "golang.org/x/sync", "golang.org/x/term", "golang.org/x/tools",
}

// install installs the commands the way a user does and asks them who they are.
func (r *rehearsal) install(ctx context.Context) error {
	for _, command := range []string{"bridge/cmd/sallyport", "fixtures/cmd/fakenet", "conformance/cmd/egressconform"} {
		if _, err := r.do(ctx, r.tmp, "go", "install", prefix+"/"+command+"@"+r.version); err != nil {
			return err
		}
	}
	sallyport := r.path("bin", "sallyport")
	out, err := r.do(ctx, r.tmp, sallyport, "version")
	if err != nil {
		return err
	}
	if !strings.Contains(out, r.version) {
		return fmt.Errorf("sallyport version prints %q, want %s in it", out, r.version)
	}
	out, err = r.do(ctx, r.tmp, sallyport, "check", "--allow", "example.com", "example.com:443")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(out, "allow\t") {
		return fmt.Errorf("sallyport check prints %q, want allow", out)
	}
	return nil
}

// downstream builds scripts/downstream outside the tree, looks at what came with it, and runs it.
func (r *rehearsal) downstream(ctx context.Context) error {
	dir := r.path("downstream")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	program, err := os.ReadFile(filepath.Join(r.root, "scripts", "downstream", "main.go"))
	if err != nil {
		return err
	}
	gomod := fmt.Sprintf("module example.test/downstream\n\ngo 1.26.0\n\nrequire (\n\t%[1]s/bridge %[2]s\n\t%[1]s/proxycore %[2]s\n)\n",
		prefix, r.version)
	sums, err := r.sums()
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"main.go": string(program), "go.mod": gomod, "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"go", "mod", "tidy"}, {"go", "build", "-o", "downstream", "."}} {
		if _, err := r.do(ctx, dir, args...); err != nil {
			return err
		}
	}
	if err := r.company(ctx, dir); err != nil {
		return err
	}
	return r.runDownstream(ctx, dir)
}

// sums is what the tree knows of other people's modules: with it, tidy needs no checksum database.
func (r *rehearsal) sums() (string, error) {
	var b strings.Builder
	for _, m := range r.modules {
		text, err := readOptional(filepath.Join(r.root, m.dir, "go.sum"))
		if err != nil {
			return "", err
		}
		b.Write(text)
	}
	return b.String(), nil
}

// company checks what an importer of proxycore and bridge gets to see of their dependencies: in its go.mod, in the
// packages it compiles, and in its module graph, where only what a command of bridge needs may still be named.
func (r *rehearsal) company(ctx context.Context, dir string) error {
	text, err := r.do(ctx, dir, "go", "mod", "edit", "-json")
	if err != nil {
		return err
	}
	var gomod struct{ Require []struct{ Path string } }
	if err := json.Unmarshal([]byte(text), &gomod); err != nil {
		return fmt.Errorf("read go.mod: %w", err)
	}
	var named []string
	for _, m := range gomod.Require {
		named = append(named, m.Path)
	}
	compiled, err := r.do(ctx, dir, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	if err != nil {
		return err
	}
	graph, err := r.do(ctx, dir, "go", "list", "-m", "-f", "{{.Path}}", "all")
	if err != nil {
		return err
	}
	return errors.Join(
		strangers("puts into go.mod", named, slices.Concat(compiledIn, required)),
		strangers("compiles", strings.Fields(compiled), compiledIn),
		strangers("puts into the module graph", strings.Fields(graph), slices.Concat(compiledIn, required, inGraph)),
	)
}

// strangers names the modules that are not welcome: all but the welcome ones, the two that are imported, and the program.
func strangers(how string, modules, welcome []string) error {
	var found []string
	for _, m := range modules {
		own := []string{"example.test/downstream", prefix + "/bridge", prefix + "/proxycore"}
		if !slices.Contains(own, m) && !slices.Contains(welcome, m) && !slices.Contains(found, m) {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("importing proxycore and bridge %s %s, which compiledIn, required and inGraph of scripts/tool/rehearse do not list",
		how, strings.Join(found, ", "))
}

// runDownstream runs the program in the fake Internet of the packed fixtures and reads the decision log it prints.
func (r *rehearsal) runDownstream(ctx context.Context, dir string) error {
	out, err := r.do(ctx, dir, r.path("bin", "fakenet"), "--", "./downstream")
	if err != nil {
		return err
	}
	for _, want := range []string{`"decision":"allow"`, `"sandbox":"demo"`, `"host":"example.com"`} {
		if !strings.Contains(out, want) {
			return fmt.Errorf("the program's decision log has no %s:\n%s", want, out)
		}
	}
	return nil
}
