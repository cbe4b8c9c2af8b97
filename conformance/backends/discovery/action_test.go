// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const actionDir = root + "/.github/actions/conformance"

// egressconform stands for the program: it notes its arguments, writes a report, and fails.
const egressconform = `#!/bin/sh
printf '%s\0' "$@" >"$RUNNER_TEMP/arguments"
for last; do :; done
echo '# the report' >"${last#--report-dir=}/report.md"
echo '::add-path::/somewhere'
exit 1
`

// TestActionInputsAreWords gives the action inputs that a shell, or a parser of flags, would take for something else.
func TestActionInputsAreWords(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash: apt-get install bash")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "egressconform"), []byte(egressconform), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-eo", "pipefail", actionDir+"/run.sh")
	cmd.Env = []string{
		"PATH=" + dir + ":" + os.Getenv("PATH"), "RUNNER_TEMP=" + dir,
		"GITHUB_OUTPUT=" + dir + "/output", "GITHUB_STEP_SUMMARY=" + dir + "/summary",
		`CONFORMANCE_EXEC=./p {listen} "$(touch hole)" ;touch hole`,
		"CONFORMANCE_FEATURES=-x", "CONFORMANCE_NAME=a b/../`touch hole`",
		"CONFORMANCE_ARGS=--run=DENY-*\r\n\n--repeat=2 --json",
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("run.sh ends with %v, want the status 1 of egressconform\n%s", err, out)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	got := strings.Split(read("arguments"), "\x00")
	want := []string{"run", `--exec=./p {listen} "$(touch hole)" ;touch hole`, "--features=-x", "--name=a b/../`touch hole`",
		"--run=DENY-*", "--repeat=2 --json"}
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("egressconform is called with %q\nwant first %q", got, want)
	}
	if _, err := os.Stat("hole"); err == nil {
		t.Error("an input was run as a command")
	}
	if s := read("summary"); s != "# the report\n" {
		t.Errorf("the summary is %q, want report.md", s)
	}
	output := read("output")
	for _, line := range []string{"status=1\n", "artifact=egressconform-a-b-..--touch-hole-\n", "report-dir=" + dir + "/"} {
		if !strings.Contains(output, line) {
			t.Errorf("the outputs have no %q:\n%s", line, output)
		}
	}
	if before, _, _ := strings.Cut(string(out), "::add-path::"); !strings.Contains(before, "::stop-commands::") {
		t.Errorf("what the proxy writes is read as commands of the runner:\n%s", out)
	}
}

// TestActionKeepsInputsOutOfScripts: an expression inside of a script is text that becomes code.
func TestActionKeepsInputsOutOfScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(root + "/.github/*/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, actionDir+"/action.yml") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, script := range scripts(string(text)) {
			if strings.Contains(script, "${{") {
				t.Errorf("%s: an expression in a script; pass it through env:\n%s", name, script)
			}
		}
		for line := range strings.Lines(string(text)) {
			_, action, uses := strings.Cut(line, "uses: ")
			_, version, _ := strings.Cut(action, "@")
			commit, _, _ := strings.Cut(strings.TrimSpace(version), " ")
			if uses && !strings.HasPrefix(action, "./") && len(commit) != 40 {
				t.Errorf("%s: not pinned by commit: %s", name, action)
			}
		}
	}
}

// scripts returns what stands behind every "run:" of a workflow or action, without its indentation.
func scripts(text string) []string {
	var all []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		before, rest, found := strings.Cut(line, "run:")
		if !found || strings.Trim(before, " -") != "" {
			continue
		}
		if strings.TrimSpace(rest) != "|" {
			all = append(all, strings.TrimSpace(rest))
			continue
		}
		var script strings.Builder
		for _, l := range lines[i+1:] {
			if strings.TrimSpace(l) != "" && len(l)-len(strings.TrimLeft(l, " ")) <= len(before) {
				break
			}
			script.WriteString(strings.TrimLeft(l, " ") + "\n")
		}
		all = append(all, script.String())
	}
	return all
}
