// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	const good = header + "\npackage p\n"
	tests := []struct {
		name, file, text string
		want             string // in the only offence; "" for none
	}{
		{"clean", "p/p.go", good, ""},
		{"no header", "p/p.go", "package p\n", "SPDX"},
		{"long file", "p/p.go", good + strings.Repeat("\n", maxFileLines), "lines, at most 450"},
		{"long function", "p/p.go", good + "\nfunc f() {\n" + strings.Repeat("\n", maxFunctionLines) + "}\n", "f has 72 lines"},
		{"long test", "p/p_test.go", good + "\nfunc f() {\n" + strings.Repeat("\n", maxFunctionLines) + "}\n", ""},
		{"long table", "p/p.go", good + "\nfunc f() []int {\n\treturn []int{\n" + strings.Repeat("1,\n", maxFunctionLines) + "}\n}\n", ""},
		{"no doc on String", "p/p.go", good + "\n// T is.\ntype T int\n\nfunc (T) String() string { return \"\" }\n", ""},
		{"no doc", "p/p.go", good + "\nfunc F() {}\n", "F has no doc"},
		{"no doc on a method", "p/p.go", good + "\ntype t struct{}\n\n// T is.\ntype T struct{}\n\nfunc (t) A() {}\n\nfunc (*T) B() {}\n", "B has no doc"},
		{"no doc on a type", "p/p.go", good + "\ntype T struct{}\n", "T has no doc"},
		{"no doc on a constant", "p/p.go", good + "\nconst C = 1\n", "C has no doc"},
		{"doc on a group", "p/p.go", good + "\n// Numbers.\nconst (\n\tC = 1\n\tD = 2\n)\n", ""},
		{"internal", "p/internal/q/q.go", good + "\nfunc F() {}\n", ""},
		{"sleeping test", "p/p_test.go", good + "\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", "time.Sleep"},
		{"sleeping suite", "conformance/c.go", good + "\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", "time.Sleep"},
		{"sleeping program", "p/p.go", good + "\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", ""},
		{"test data", "p/testdata/x.go", "not Go", ""},
		{"replace", "p/go.mod", "module m\n\ngo 1.26.0\n\nreplace a.test/x => ../x\n", "replace"},
		{"toolchain", "p/go.mod", "module m\n\ngo 1.26.0\n\ntoolchain go1.26.8\n", "toolchain"},
		{"go line", "p/go.mod", "module m\n\ngo 1.27.0\n", "go line"},
		{"module", "p/go.mod", "module m\n\ngo 1.26.0\n", ""},
		{"no licence", "q/go.mod", "module m\n\ngo 1.26.0\n", "LICENSE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for name, text := range map[string]string{tt.file: tt.text, "p/LICENSE": ""} {
				path := filepath.Join(root, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := check(root)
			switch {
			case err != nil:
				t.Error(err)
			case tt.want == "" && len(got) > 0:
				t.Errorf("offences = %q, want none", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
				t.Errorf("offences = %q, want one with %q", got, tt.want)
			}
		})
	}
}
