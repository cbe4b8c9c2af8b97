// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/conformance"
)

// TestStatus: every exit status, by real processes.
func TestStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.txt")
	known := filepath.Join(dir, "known.txt")
	write(t, stale, "DENY-001.no-tunnel it was once so\n")
	write(t, known, "DENY-002.no-dial it dials first\nDENY-002.no-lookup and asks for that\n")
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   []string // on standard output and standard error together
	}{
		{"partial", slices.Concat([]string{"--exec", testProxy("good")}, few), 0,
			[]string{"test unversioned: claims deny-rules, tcp, unix", "partial: not everything was asked: ", " checks were left out"}},
		{"partial and that is not enough", slices.Concat([]string{"--exec", testProxy("good"), "--require-conformant"}, few), 4, nil},
		{"failed", slices.Concat([]string{"--exec", testProxy("dials-first"), "--name", "mine", "--version", "9"}, few), 1, []string{
			"FAIL  DENY-002.no-dial", "(mine 9, spec 0.1)", "\n  Rule ", "\n  Sent ", "\n  Got ", "\n  Origin ", "\n  DNS ", "\n  Control ",
			"[origin-dial]", "\n  Likely   dials-first", "\n  Again ", "--run DENY-002.no-dial --trace"}},
		{"stale", slices.Concat([]string{"--exec", testProxy("good"), "--baseline", stale}, few), 1, []string{"STALE DENY-001.no-tunnel", "take it out"}},
		{"known", slices.Concat([]string{"--exec", testProxy("dials-first"), "--baseline", known}, few), 0, []string{"2 are known to fail"}},
		{"does not exist", slices.Concat([]string{"--exec", "/nonexistent/proxy {listen} {allow}"}, few), 3, []string{"cannot be started", "/nonexistent/proxy"}},
		{"exits at once", slices.Concat([]string{"--exec", testProxy("exits")}, few), 3, []string{"ended (exit status 7) before", "cannot read my configuration"}},
		{"fails to start", slices.Concat([]string{"--exec", testProxy("start-fails")}, few), 3, []string{"it never starts"}},
		{"panics", slices.Concat([]string{"--exec", testProxy("start-panics")}, few), 3, []string{"the start panics"}},
		{"hangs in start", slices.Concat([]string{"--exec", testProxy("hangs")}, few), 3, []string{"accepts no connections at 127.0.0.1:"}},
		{"listens elsewhere", slices.Concat([]string{"--exec", tcpProxy("elsewhere")}, few), 3, []string{"accepts no connections at 127.0.0.1:"}},
		{"answers nothing", slices.Concat([]string{"--exec", testProxy("mute")}, few), 3, []string{"gives no HTTP answer"}},
		{"hangs up", slices.Concat([]string{"--exec", testProxy("closes")}, few), 3, []string{"gives no HTTP answer"}},
		{"ignores SIGTERM", slices.Concat([]string{"--exec", testProxy("stubborn")}, few), 3, []string{"PROBLEM", "after SIGTERM and was killed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, errOut, status := cli(t, append([]string{"run"}, c.args...)...)
			if status != c.status {
				t.Errorf("exit status %d, want %d\n%s%s", status, c.status, out, errOut)
			}
			for _, s := range c.says {
				if !strings.Contains(errOut+out, s) {
					t.Errorf("it does not say %q:\n%s%s", s, out, errOut)
				}
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestUsage: what is refused before anything runs, and that the message says what to do.
func TestUsage(t *testing.T) {
	t.Parallel()
	exec := []string{"run", "--exec", "p {listen} {allow}"}
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "Usage:"},
		{[]string{"rum"}, `"rum" is no command`},
		{[]string{"run"}, "exactly one of --exec, --launch and --proxy"},
		{[]string{"run", "--exec", "a {listen} {allow}", "--launch", "b {cmd}"}, "exactly one of"},
		{[]string{"run", "--exec", "p", "{listen}"}, "goes into quotes"},
		{[]string{"run", "--nonsense"}, "--nonsense"},
		{[]string{"run", "--exec", "p {listen} {alow}"}, "{alow} is no placeholder; there are {addr} {allow}"},
		{[]string{"run", "--exec", "p '{listen} {allow}"}, "quotes"},
		{[]string{"run", "--exec", "p {listen} {allow} | tee log"}, "sh -c"},
		{[]string{"run", "--exec", ""}, "exactly one of"},
		{[]string{"run", "--exec", "p {allow}"}, "neither {listen} nor {port} nor {socket}"},
		{[]string{"run", "--exec", "p {listen}"}, "neither {allow} nor {allowfile}"},
		{[]string{"run", "--exec", "p {listen} {allow} {cmd}"}, "{cmd} belongs to --launch"},
		{[]string{"run", "--launch", "s {allow}"}, "no {cmd}"},
		{[]string{"run", "--launch", "s {allow} -- x{cmd}"}, "must be one of its own"},
		{[]string{"run", "--launch", "s {allow} {listen} {cmd}"}, "belong to --exec"},
		{[]string{"run", "--launch", "s {allow} {cmd}", "--features", "death-report"}, "no proxy between two commands"},
		{append(exec, "--features", "wildcard"), `did you mean wildcards?`},
		{append(exec, "--features", "deny-rules"), "no {deny} or {denyfile}"},
		{append(exec, "--features", "unix"), "no {socket}"},
		{append(exec, "--features", "upstream"), "no {upstream}"},
		{append(exec, "--features", "upstream-tls"), "no {upstream-ca}"},
		{append(exec, "--features", "upstream-auth"), "no {upstream-credentials}"},
		{append(exec, "--features", "launcher"), "backend in Go"},
		{append(exec, "--features", "sandbox"), "{cmd}, in --launch"},
		{append(exec, "--features", "intercept"), "backend in Go"},
		{append(exec, "--run", "DENY-02*"), "did you mean DENY-002.*"},
		{append(exec, "--run", "DENY-002.no-dail"), "did you mean DENY-002.no-dial?"},
		{append(exec, "--run", "["), "syntax"},
		{append(exec, "--spec", "7"), "specification 0.1 only"},
		{append(exec, "--repeat", "0"), "at least once"},
		{append(exec, "--timeout-scale", "-1"), "more than nothing"},
		{append(exec, "--baseline", "/nonexistent"), "--baseline"},
		{append(exec, "--fixed-policy", "core"), "leave one out"},
		{append(exec, "--with", "x"), "--with belongs to --proxy"},
		{[]string{"run", "--proxy", "http://127.0.0.1:3128"}, "--proxy needs --with"},
		{[]string{"run", "--proxy", "http://127.0.0.1:3128", "--with", "p"}, "--proxy needs --fixed-policy"},
		{[]string{"run", "--proxy", "http://192.0.2.1:3128", "--with", "p", "--fixed-policy", "core"}, "loopback"},
		{[]string{"run", "--proxy", "http://127.0.0.1:3128", "--with", "p", "--fixed-policy", "kore"}, "neither a policy of the suite (addresses, any, core"},
		{[]string{"run", "--proxy", "http://127.0.0.1:3128", "--with", "p", "--fixed-policy", os.Args[0]}, "--fixed-policy"},
		{[]string{"explain", "DENY-02"}, "did you mean DENY-002.*"},
		{[]string{"explain"}, "explain what?"},
		{[]string{"list", "--run", "NONE"}, "matches no check"},
		{[]string{"verify"}, "verify what?"},
		{[]string{"verify", "/nonexistent"}, "/nonexistent"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			out, errOut, status := cli(t, c.args...)
			if status != exitUsage || !strings.Contains(errOut, c.says) || out != "" {
				t.Errorf("status %d, standard output %q, standard error %q; want 2, nothing and %q", status, out, errOut, c.says)
			}
		})
	}
}

// TestOneFault: a proxy that loses the bytes behind the head fails exactly that requirement.
func TestOneFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, errOut, status := cli(t, "run", "--json", "--report-dir", dir, "--timeout-scale", "0.5", "--exec", testProxy("bytes-lost"),
		"--features", "wildcards,deep-wildcards,any-name", "--features", "port-rules,address-rules,reasons,death-report")
	var r conformance.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("standard output is no report: %v\n%.300s\n%s", err, out, errOut)
	}
	var failed []string
	for _, c := range r.Checks {
		if c.Outcome != conformance.Pass && c.Outcome != conformance.NA {
			failed = append(failed, c.Requirement+" "+string(c.Outcome))
		}
	}
	// A busy machine may deliver single bytes together, which the other check of the requirement then sees, too.
	if failed = slices.Compact(failed); status != exitFailed || !slices.Equal(failed, []string{"CONNECT-004 fail"}) {
		t.Errorf("status %d, not ok %q; want 1 and CONNECT-004\n%s", status, failed, errOut)
	}
	report := filepath.Join(dir, "report.json")
	if out, errOut, status := cli(t, "verify", report); status != exitOK || !strings.Contains(out, "complete and consistent") {
		t.Errorf("verify: status %d, %s%s", status, out, errOut)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	write(t, report, strings.Replace(string(text), `"verdict": "not-conformant"`, `"verdict": "conformant"`, 1))
	if out, _, status := cli(t, "verify", report); status != exitFailed || !strings.Contains(out, `the checks make it "not-conformant"`) {
		t.Errorf("verify of a report that lies: status %d, %s", status, out)
	}
}

// TestUpstream: a command line with the words for it is asked to go through upstreams, and a command that does not is
// found out.
func TestUpstream(t *testing.T) {
	t.Parallel()
	run := []string{
		"run", "--json", "--run", "UPSTREAM-001.*", "--run", "UPSTREAM-011.sent", "--run", "UPSTREAM-012.[lp]*",
		"--run", "UPSTREAM-017.tunnel", "--run", "UPSTREAM-019.name", "--run", "UPSTREAM-021.*", "--run", "UPSTREAM-022.empty",
	}
	for _, c := range []struct {
		how      string
		line     string
		features string
		status   int
		count    map[conformance.Outcome]int
	}{
		{"good", chained("good"), "upstream-socks5h,upstream-unix", exitOK, map[conformance.Outcome]int{conformance.Pass: 11, conformance.NA: 2}},
		{"without the words", tcpProxy("good"), "wildcards", exitOK, map[conformance.Outcome]int{conformance.Pass: 2, conformance.NA: 11}},
		{"goes past it", chained("upstream-ignored"), "wildcards", exitFailed, nil},
	} {
		t.Run(c.how, func(t *testing.T) {
			t.Parallel()
			out, errOut, status := cli(t, append(slices.Clone(run), "--exec", c.line, "--features", c.features)...)
			var r conformance.Report
			if err := json.Unmarshal([]byte(out), &r); err != nil || status != c.status {
				t.Fatalf("status %d, want %d; %v\n%s%s", status, c.status, err, out, errOut)
			}
			for o, n := range c.count {
				if got := r.Count(o); got != n {
					t.Errorf("%d checks %s, want %d\n%s", got, o, n, out)
				}
			}
		})
	}
}

// TestRepeatAndSeed: repetitions are merged, the order is another one, and both are on record.
func TestRepeatAndSeed(t *testing.T) {
	t.Parallel()
	args := slices.Concat([]string{"run", "--json", "--exec", testProxy("good"), "--repeat", "5", "--seed", "7", "--trace"}, few)
	out, errOut, status := cli(t, args...)
	var r conformance.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitOK || r.Repeat != 5 || r.Seed != 7 {
		t.Fatalf("status %d, repeat %d, seed %d, %v; want 0, 5, 7\n%s", status, r.Repeat, r.Seed, err, errOut)
	}
	var ids []string
	for line := range strings.Lines(errOut) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "pass" {
			ids = append(ids, f[1])
		}
	}
	sorted := true // of five orders of three checks one is another, all but certainly
	for run := range slices.Chunk(ids, 3) {
		sorted = sorted && slices.IsSorted(run)
	}
	if len(ids) != 15 || sorted {
		t.Errorf("traced %q; want three checks, five times, in an order of chance", ids)
	}
}

// TestFixedPolicy: with a proxy that runs already, what needs another policy or another instance does not apply.
func TestFixedPolicy(t *testing.T) {
	t.Parallel()
	policy, _, status := cli(t, "list", "--policies")
	_, core, _ := strings.Cut(policy, "# core\n")
	core, _, _ = strings.Cut(core, "# ")
	if status != exitOK || core == "" {
		t.Fatalf("list --policies: %s", policy)
	}
	file := filepath.Join(t.TempDir(), "policy.txt")
	write(t, file, core)
	with := strings.NewReplacer("{allow}", strings.ReplaceAll(strings.TrimSpace(core), "\n", ","), "{deny}", "''", "{port}", "3128",
		"{head-timeout}", "10").Replace(tcpProxy("good"))
	for _, p := range []string{"core", file} {
		out, errOut, status := cli(t, "run", "--json", "--proxy", "http://127.0.0.1:3128", "--with", with, "--fixed-policy", p,
			"--run", "DENY-*", "--run", "LIFE-00[48]*", "--run", "LIMIT-002*", "--timeout-scale", "0.5")
		var r conformance.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitOK || r.Verdict != conformance.VerdictPartial {
			t.Fatalf("%s: status %d, verdict %s, %v; want 0 and partial\n%s", p, status, r.Verdict, err, errOut)
		}
		got := map[string]conformance.CheckReport{}
		for _, c := range r.Checks {
			got[c.ID] = c
		}
		for id, want := range map[string]string{
			"DENY-001.no-tunnel": "", "DENY-004.zero-policy": "needs a policy other than core", "DENY-009.bad-line": "an instance of its own",
			"LIFE-004.not-accepting": "an instance of its own", "LIMIT-002.head-time": "cannot be set",
		} {
			c := got[id]
			if want == "" && c.Outcome != conformance.Pass || want != "" && (c.Outcome != conformance.NA || !strings.Contains(c.Reason, want)) {
				t.Errorf("%s: %s: %s, %q; want %q", p, id, c.Outcome, c.Reason, want)
			}
		}
	}
}

// TestBaseline: what it prints is what run takes.
func TestBaseline(t *testing.T) {
	t.Parallel()
	args := slices.Concat([]string{"--exec", testProxy("dials-first")}, few)
	out, errOut, status := cli(t, append([]string{"baseline"}, args...)...)
	if status != exitOK || !strings.Contains(out, "\nDENY-002.no-dial  ") {
		t.Fatalf("status %d, %s%s", status, out, errOut)
	}
	file := filepath.Join(t.TempDir(), "known.txt")
	write(t, file, out)
	if out, errOut, status := cli(t, slices.Concat([]string{"run", "--baseline", file}, args)...); status != exitOK {
		t.Errorf("with the baseline: status %d, want 0\n%s%s", status, out, errOut)
	}
	if _, errOut, status := cli(t, slices.Concat([]string{"baseline", "--exec", testProxy("exits")}, few)...); status != exitInvalid {
		t.Errorf("baseline of what does not start: status %d, want 3\n%s", status, errOut)
	}
}

// TestTexts: list, explain, help and version.
func TestTexts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		says []string
		not  string
	}{
		{[]string{"list", "--run", "DENY-002.*"}, []string{"DENY-002.no-dial", "MUST", "core"}, "DENY-001"},
		{[]string{"list", "--features", "tcp"}, []string{"without wildcards"}, "SANDBOX"},
		{[]string{"list", "--json"}, []string{`"id": "DENY-002.no-dial"`}, "\t"},
		{[]string{"explain", "DENY-002"}, []string{"MUST", "Why: ", "DENY-002.no-dial", "dials-first [origin-dial]"}, "DENY-001"},
		{[]string{"explain", "--json", "DENY-002.no-dial"}, []string{`"why": "`}, "no-lookup"},
		{[]string{"help"}, []string{"Exit status:", "selftest"}, "ginkgo"},
		{[]string{"help", "run"}, []string{"--fixed-policy", "{head-timeout}"}, "ginkgo"},
		{[]string{"run", "--help"}, []string{"--timeout-scale"}, "test.v"},
		{[]string{"version"}, []string{"specification 0.1"}, "\n\n"},
	} {
		out, errOut, status := cli(t, c.args...)
		if status != exitOK || errOut != "" || strings.Contains(out, c.not) {
			t.Errorf("%q: status %d, standard error %q, or %q in it:\n%s", c.args, status, errOut, c.not, out)
		}
		for _, s := range c.says {
			if !strings.Contains(out, s) {
				t.Errorf("%q does not say %q:\n%s", c.args, s, out)
			}
		}
	}
}
