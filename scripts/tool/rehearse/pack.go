// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	modpath "golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

// unreleased are the modules that nobody imports: they are tidied, and not packed.
var unreleased = []string{"conformance/backends", "scripts"}

// module is one module of the workspace.
type module struct {
	dir  string // relative to the root of the tree
	file *modfile.File
}

func (m *module) path() string   { return prefix + "/" + m.dir }
func (m *module) released() bool { return !slices.Contains(unreleased, m.dir) }

// readModules reads go.work and every go.mod, and the version from what siblings require of each other.
func (r *rehearsal) readModules() error {
	text, err := os.ReadFile(filepath.Join(r.root, "go.work"))
	if err != nil {
		return fmt.Errorf("%w: run this through scripts/rehearse", err)
	}
	work, err := modfile.ParseWork("go.work", text, nil)
	if err != nil {
		return err
	}
	for _, use := range work.Use {
		m := &module{dir: filepath.ToSlash(filepath.Clean(use.Path))}
		name := filepath.Join(m.dir, "go.mod")
		text, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return err
		}
		if m.file, err = modfile.Parse(name, text, nil); err != nil {
			return err
		}
		if m.file.Module.Mod.Path != m.path() {
			return fmt.Errorf("%s: the module is called %s, want %s", name, m.file.Module.Mod.Path, m.path())
		}
		r.modules = append(r.modules, m)
	}
	if err := r.readExamples(); err != nil {
		return err
	}
	return r.readVersion(work)
}

// readVersion insists on one version for all: the released modules move in lockstep.
func (r *rehearsal) readVersion(work *modfile.WorkFile) error {
	var errs []error
	see := func(where string, v modpath.Version) {
		switch {
		case !strings.HasPrefix(v.Path, prefix+"/"):
		case r.version == "":
			r.version = v.Version
		case r.version != v.Version:
			errs = append(errs, fmt.Errorf("%s names %s, others name %s: siblings have one version", where, v, r.version))
		}
	}
	for _, m := range slices.Concat(r.modules, r.examples) {
		for _, require := range m.file.Require {
			see(m.dir+"/go.mod", require.Mod)
		}
	}
	for _, replace := range work.Replace {
		see("go.work", replace.Old)
	}
	if r.version == "" {
		errs = append(errs, errors.New("no module requires a sibling: what version is coming?"))
	}
	return errors.Join(errs...)
}

// pack fills the module proxy: go help goproxy describes the layout.
func (r *rehearsal) pack(ctx context.Context) error {
	for _, m := range r.modules {
		if !m.released() {
			continue
		}
		files, err := r.files(ctx, m)
		if err != nil {
			return err
		}
		dir := r.path("proxy", filepath.FromSlash(m.path()), "@v") // the path has no capitals to escape
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		gomod, err := os.ReadFile(filepath.Join(r.root, m.dir, "go.mod"))
		if err != nil {
			return err
		}
		for name, text := range map[string]string{
			"list":              r.version + "\n",
			r.version + ".info": `{"Version":"` + r.version + `"}`,
			r.version + ".mod":  string(gomod),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				return err
			}
		}
		if err := r.zip(filepath.Join(dir, r.version+".zip"), m, files); err != nil {
			return fmt.Errorf("packing %s: %w", m.dir, err)
		}
	}
	return nil
}

func (r *rehearsal) zip(name string, m *module, files []modzip.File) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := modzip.Create(f, modpath.Version{Path: m.path(), Version: r.version}, files); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f, info.Size())
	if err == nil {
		fmt.Printf("      packed %s %s: %d files, %d KiB\n", m.path(), r.version, len(z.File), info.Size()>>10)
	}
	return err
}

// files lists what a tag would hold if everything in the tree were committed now; without git, what lies in the tree.
func (r *rehearsal) files(ctx context.Context, m *module) ([]modzip.File, error) {
	dir := filepath.Join(r.root, m.dir)
	c := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		return walk(dir)
	}
	var files []modzip.File
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		f := file{name: name, path: filepath.Join(dir, filepath.FromSlash(name))}
		if info, err := f.Lstat(); err == nil && info.Mode().IsRegular() && !inNested(dir, name) {
			files = append(files, f)
		}
	}
	return files, nil
}

func walk(dir string) ([]modzip.File, error) {
	var files []modzip.File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if !inNested(dir, filepath.ToSlash(rel)) {
			files = append(files, file{name: filepath.ToSlash(rel), path: path})
		}
		return nil
	})
	return files, err
}

// inNested reports whether a file belongs to another module below dir.
func inNested(dir, name string) bool {
	for i, c := range name {
		if c != '/' {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name[:i]), "go.mod")); err == nil {
			return true
		}
	}
	return false
}

// file is one file of a module: golang.org/x/mod/zip.File.
type file struct{ name, path string }

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.path) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.path) }
