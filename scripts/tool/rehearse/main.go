// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command rehearse rehearses a release. It packs every released module from the working tree into a file:// module
// proxy, as the version that the modules name for each other, and then does outside the tree, without go.work, what
// importers will do: build a program against them and run it, go install the commands, vet and compile each module
// alone, run the examples of the conformance suite, and see that go mod tidy has nothing to add.
//
//	rehearse [-v]
//	rehearse -tidy [MODULE…]    write the tidied go.mod and go.sum of these modules (all of them) back into the tree
//
// The go.sum files of the tree hold no lines for sibling modules. Their hashes would change with every edit of a
// sibling and are used by nobody: the workspace takes siblings from the tree, and go.sum of a dependency is not read.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// prefix is the path of the repository; a module's path is prefix/ and its directory.
const prefix = "github.com/sallyport-dev/sallyport"

func main() {
	tidy := flag.Bool("tidy", false, "write the tidied go.mod and go.sum files back into the tree")
	verbose := flag.Bool("v", false, "print every command")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *tidy, flag.Args(), *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "rehearse:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, tidy bool, only []string, verbose bool) error {
	r, err := newRehearsal(ctx, verbose)
	if err != nil {
		return err
	}
	defer os.RemoveAll(r.tmp)
	if err := r.pack(ctx); err != nil {
		return err
	}
	if tidy {
		return r.writeTidy(ctx, only)
	}
	var errs []error
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"the modules are tidy and build alone", r.alone},
		{"go install", r.install},
		{"a program downstream", r.downstream},
		{"the examples of the conformance suite", r.try},
	} {
		begin := time.Now()
		if err := part.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", part.name, err))
			continue
		}
		fmt.Printf("ok    %s (%.1f s)\n", part.name, time.Since(begin).Seconds())
	}
	return errors.Join(errs...)
}

// rehearsal is one run: a directory with a module proxy, a module cache and places to build in.
type rehearsal struct {
	root    string // of the tree
	tmp     string
	verbose bool
	env     []string
	version string    // what the modules call each other: the coming release
	modules []*module // all of go.work
	// examples are modules outside go.work, of the same version.
	examples []*module
}

func newRehearsal(ctx context.Context, verbose bool) (*rehearsal, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	r := &rehearsal{root: root, verbose: verbose}
	if err := r.readModules(); err != nil {
		return nil, err
	}
	values, err := exec.CommandContext(ctx, "go", "env", "GOPROXY", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	proxy, cache, _ := strings.Cut(strings.TrimSpace(string(values)), "\n")
	if r.tmp, err = os.MkdirTemp("", "sallyport-rehearse-"); err != nil {
		return nil, err
	}
	// The mount of a sandbox, or another user, may have to look into it.
	if err := os.Chmod(r.tmp, 0o755); err != nil {
		return nil, err
	}
	r.env = append(os.Environ(),
		"GOWORK=off",
		// Ours first; then what this machine has already, so that the rehearsal works without a network; then the world.
		"GOPROXY=file://"+r.path("proxy")+",file://"+filepath.Join(cache, "cache", "download")+","+proxy,
		// The versions are not published: no checksum database knows them.
		"GONOSUMDB="+prefix,
		// A cache of its own, because the real one must never hold a version that is not the published one.
		"GOMODCACHE="+r.path("modcache"),
		"GOBIN="+r.path("bin"),
		// Without trimpath the build cache would be of no use from one rehearsal to the next.
		"GOFLAGS=-modcacherw -trimpath -buildvcs=false",
	)
	return r, nil
}

func (r *rehearsal) path(elem ...string) string {
	return filepath.Join(append([]string{r.tmp}, elem...)...)
}

// do runs a command in dir and returns what it wrote; the error holds that, too.
func (r *rehearsal) do(ctx context.Context, dir string, args ...string) (string, error) {
	if r.verbose {
		fmt.Printf("%s$ %s\n", dir, strings.Join(args, " "))
	}
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir = dir
	c.Env = append(r.env, "PWD="+dir)
	out, err := c.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s (in %s): %w\n%s", strings.Join(args, " "), dir, err, out)
	}
	return string(out), nil
}
