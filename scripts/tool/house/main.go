// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command house checks the rules of this repository that no general linter knows. It reads every Go file and go.mod of
// the tree it is started in and prints one line for each offence:
//
//   - two SPDX lines at the top of each Go file;
//   - at most 450 lines a file and 70 lines a function (but tests, and functions that only return a table);
//   - a doc comment on everything an importer can see, but methods such as String;
//   - no time.Sleep in tests or in the conformance suite, which must wait for conditions;
//   - go.mod files without replace (go install refuses them) and without a toolchain line;
//   - a LICENSE in each module, because Go puts the root's into the zip of a module that has none, and that zip has
//     another hash than the one made from the tree.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

const (
	maxFileLines     = 450
	maxFunctionLines = 70
	goVersion        = "1.26.0"
	header           = "// Copyright 2026 The Sallyport Authors\n// SPDX-License-Identifier: Apache-2.0\n"
)

func main() {
	offences, err := check(".")
	for _, o := range offences {
		fmt.Println(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
	}
	if err != nil || len(offences) > 0 {
		os.Exit(1)
	}
}

// check walks the tree below root.
func check(root string) ([]string, error) {
	var offences []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		var found []string
		switch {
		case d.Name() == "go.mod":
			found, err = checkModule(path)
		case strings.HasSuffix(path, ".go"):
			found, err = checkSource(path)
		}
		offences = append(offences, found...)
		return err
	})
	return offences, err
}

func checkModule(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := modfile.Parse(path, text, nil)
	if err != nil {
		return nil, err
	}
	var found []string
	if len(f.Replace) > 0 {
		found = append(found, path+": has a replace directive: go install refuses such a module")
	}
	if f.Toolchain != nil {
		found = append(found, path+": has a toolchain line, which forces every importer")
	}
	if f.Go == nil || f.Go.Version != goVersion {
		found = append(found, path+": the go line must be "+goVersion)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "LICENSE")); err != nil {
		found = append(found, path+": the module has no LICENSE beside it")
	}
	return found, nil
}

func checkSource(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	s := source{path: path, set: set, file: file, test: strings.HasSuffix(path, "_test.go")}
	if !strings.HasPrefix(string(text), header) {
		s.add(file.Package, "the SPDX header is missing")
	}
	if n := strings.Count(string(text), "\n"); n > maxFileLines {
		s.add(file.Package, fmt.Sprintf("%d lines, at most %d: split it", n, maxFileLines))
	}
	s.checkFunctions()
	s.checkSleeps()
	if !s.test && file.Name.Name != "main" && !slices.Contains(strings.Split(filepath.ToSlash(path), "/"), "internal") {
		s.checkDocs()
	}
	return s.found, nil
}

type source struct {
	path  string
	set   *token.FileSet
	file  *ast.File
	test  bool
	found []string
}

func (s *source) add(at token.Pos, problem string) {
	s.found = append(s.found, fmt.Sprintf("%s:%d: %s", s.path, s.set.Position(at).Line, problem))
}

func (s *source) checkFunctions() {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || s.test || isTable(f) {
			continue
		}
		if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > maxFunctionLines {
			s.add(f.Pos(), fmt.Sprintf("%s has %d lines, at most %d", f.Name.Name, n, maxFunctionLines))
		}
	}
}

// isTable reports whether a function does nothing but return a value: its length is the value's.
func isTable(f *ast.FuncDecl) bool {
	if f.Body == nil || len(f.Body.List) != 1 {
		return false
	}
	_, ok := f.Body.List[0].(*ast.ReturnStmt)
	return ok
}

func (s *source) checkSleeps() {
	if !s.test && !strings.Contains("/"+filepath.ToSlash(s.path), "/conformance/") {
		return
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				s.add(sel.Pos(), "time.Sleep: wait for a condition, or use testing/synctest")
			}
		}
		return true
	})
}

// common are methods whose meaning their interface gives.
var common = []string{"Error", "Read", "ServeHTTP", "String", "Unwrap", "Write"}

func (s *source) checkDocs() {
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) && !(d.Recv != nil && slices.Contains(common, d.Name.Name)) {
				s.add(d.Pos(), d.Name.Name+" has no doc comment")
			}
		case *ast.GenDecl:
			s.checkSpecs(d)
		}
	}
}

// checkSpecs accepts a comment on the group, on the line above, or behind the name.
func (s *source) checkSpecs(d *ast.GenDecl) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
				s.add(spec.Pos(), spec.Name.Name+" has no doc comment")
			}
		case *ast.ValueSpec:
			if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				s.add(spec.Pos(), spec.Names[0].Name+" has no doc comment")
			}
		}
	}
}

func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return true
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.IsExported()
}
