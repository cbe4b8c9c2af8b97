// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// alone does for each module what its importers and their CI will: with no workspace that could hide a missing
// requirement, it must be tidy, vet and compile.
func (r *rehearsal) alone(ctx context.Context) error {
	var errs []error
	for _, m := range r.modules {
		dir, err := r.copyModule(ctx, m)
		if err != nil {
			return err
		}
		if err := r.tidy(ctx, m, dir); err != nil {
			errs = append(errs, err)
			continue
		}
		if !m.released() {
			continue
		}
		for _, args := range [][]string{
			{"go", "vet", "./..."},
			{"go", "test", "-run=^$", "./..."},
		} {
			if _, err := r.do(ctx, dir, args...); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// tidy compares the module files of the tree with what go mod tidy makes of them in the copy. It leaves the copy
// tidied, with the lines for its siblings.
func (r *rehearsal) tidy(ctx context.Context, m *module, dir string) error {
	if _, err := r.do(ctx, dir, "go", "mod", "tidy"); err != nil {
		return err
	}
	var errs []error
	for _, name := range moduleFiles {
		want, err := tidied(dir, name)
		if err != nil {
			return err
		}
		got, err := readOptional(filepath.Join(r.root, m.dir, name))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			errs = append(errs, fmt.Errorf("%s/%s is not tidy: run scripts/tidy\n%s", m.dir, name, lineDiff(got, want)))
		}
	}
	return errors.Join(errs...)
}

var moduleFiles = []string{"go.mod", "go.sum"}

// writeTidy is scripts/tidy: it tidies the modules named in only, or all of them.
func (r *rehearsal) writeTidy(ctx context.Context, only []string) error {
	for _, m := range slices.Concat(r.modules, r.examples) {
		if len(only) > 0 && !slices.Contains(only, m.dir) {
			continue
		}
		dir, err := r.copyModule(ctx, m)
		if err != nil {
			return err
		}
		if _, err := r.do(ctx, dir, "go", "mod", "tidy"); err != nil {
			return err
		}
		for _, name := range moduleFiles {
			path := filepath.Join(r.root, m.dir, name)
			want, err := tidied(dir, name)
			if err != nil {
				return err
			}
			got, err := readOptional(path)
			if err != nil {
				return err
			}
			if bytes.Equal(got, want) {
				continue
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				return err
			}
			fmt.Printf("      changed %s/%s\n%s", m.dir, name, lineDiff(got, want))
		}
	}
	return nil
}

// tidied reads a module file of a copy as it belongs into the tree: go.sum without its siblings.
func tidied(dir, name string) ([]byte, error) {
	text, err := readOptional(filepath.Join(dir, name))
	if err != nil || name != "go.sum" {
		return text, err
	}
	var kept []byte
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte(prefix+"/")) {
			kept = append(kept, line...)
		}
	}
	return kept, nil
}

func readOptional(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// lineDiff shows which lines come and go; the order of a go.mod says little.
func lineDiff(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	var b strings.Builder
	for _, line := range g {
		if !slices.Contains(w, line) {
			fmt.Fprintf(&b, "\t-%s\n", line)
		}
	}
	for _, line := range w {
		if !slices.Contains(g, line) {
			fmt.Fprintf(&b, "\t+%s\n", line)
		}
	}
	return b.String()
}

// copyModule copies the files of a module, so that nothing above it and nothing beside it can help.
func (r *rehearsal) copyModule(ctx context.Context, m *module) (string, error) {
	files, err := r.files(ctx, m)
	if err != nil {
		return "", err
	}
	dir := r.path("alone", strings.ReplaceAll(m.dir, "/", "-"))
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(r.root, m.dir, filepath.FromSlash(f.Path())))
		if err != nil {
			return "", err
		}
		to := filepath.Join(dir, filepath.FromSlash(f.Path()))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}
