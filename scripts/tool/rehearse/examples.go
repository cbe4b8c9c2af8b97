// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/modfile"
)

// examplesDir holds modules that are in no workspace, because their readers have none: each shows one way into the
// conformance suite.
const examplesDir = "conformance/examples"

// readExamples reads the go.mod files of the examples.
func (r *rehearsal) readExamples() error {
	names, err := filepath.Glob(filepath.Join(r.root, filepath.FromSlash(examplesDir), "*", "go.mod"))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("no module in " + examplesDir)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		m := &module{dir: examplesDir + "/" + filepath.Base(filepath.Dir(name))}
		if m.file, err = modfile.Parse(name, text, nil); err != nil {
			return err
		}
		if m.file.Module.Mod.Path != m.path() {
			return fmt.Errorf("%s: the module is called %s, want %s", name, m.file.Module.Mod.Path, m.path())
		}
		r.examples = append(r.examples, m)
	}
	return nil
}

// try runs every example the way its reader would, all at the same time: the suite spends most of its time waiting.
func (r *rehearsal) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	errs := make([]error, len(r.examples))
	var all sync.WaitGroup
	for i, m := range r.examples {
		all.Go(func() { errs[i] = r.tryOne(ctx, m) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// tryOne copies an example out of the tree, runs its tests, and if it is a program, the program.
func (r *rehearsal) tryOne(ctx context.Context, m *module) error {
	dir, err := r.copyModule(ctx, m)
	if err != nil {
		return err
	}
	if err := r.tidy(ctx, m, dir); err != nil {
		return err
	}
	commands := [][]string{{"go", "vet", "./..."}, {"go", "test", "-count=1", "./..."}}
	if _, err := os.Stat(filepath.Join(dir, "main.go")); err == nil {
		commands = append(commands, []string{"go", "run", "."})
	}
	for _, args := range commands {
		if _, err := r.do(ctx, dir, args...); err != nil {
			return err
		}
	}
	return nil
}
