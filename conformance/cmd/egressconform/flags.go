// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/conformance"
)

// runFlags are the flags of run and baseline.
type runFlags struct {
	exec, launch, proxy, with string
	fixedPolicy               string
	features                  []string
	name, version             string
	patterns                  []string
	baseline, reportDir, spec string
	json, require, trace      bool
	repeat                    int
	seed                      int64
	scale                     float64
}

const placeholders = `
In the command lines these words are replaced. They are split like a shell would, with quotes; nothing is expanded.
  {listen}        127.0.0.1:port                {addr} {port}   its two halves
  {socket}        path of a unix socket to make {dir}           an empty directory
  {allow} {deny}  the policy, with commas       {allowfile} {denyfile}   the same in files, one line each
  {head-timeout}  seconds a client has for its head
  {upstream}      URL of a proxy to go through, empty for none: http, https, socks5h or unix
  {upstream-ca}   path of the authority of an https upstream in PEM, empty for none
  {upstream-credentials}   path of a file with its user:password, empty for none
  {cmd}           with --launch: the command to run in the sandbox

What is not in the command line cannot be asked for: without {listen} or {port} the backend does not claim tcp,
without {socket} not unix, without {deny} or {denyfile} not deny-rules, without {upstream} not upstream, without
{upstream-ca} not upstream-tls, without {upstream-credentials} not upstream-auth, and without {head-timeout} the checks
that wait for it do not apply. Claim upstream-socks5h and upstream-unix by --features.
`

func (r *runFlags) add(f *pflag.FlagSet) {
	f.StringVar(&r.exec, "exec", "", "`command` that starts the proxy and stays in the foreground")
	f.StringVar(&r.launch, "launch", "", "`command` that runs {cmd} in a sandbox which comes with its proxy")
	f.StringVar(&r.proxy, "proxy", "", "`URL` of a proxy that --with starts once: http://127.0.0.1:3128, unix:///path")
	f.StringVar(&r.with, "with", "", "`command` that starts the proxy of --proxy, with its own configuration")
	f.StringVar(&r.fixedPolicy, "fixed-policy", "", "the only policy it enforces: the `name` of one of the suite's, or a file with its lines (list --policies)")
	f.StringSliceVar(&r.features, "features", nil, "`features` it claims beyond what its command line shows (list --features-known)")
	f.StringVar(&r.name, "name", "", "`name` of the proxy in reports (default: its program)")
	f.StringVar(&r.version, "version", "unversioned", "`version` of the proxy in reports")
	f.StringArrayVar(&r.patterns, "run", nil, "run only checks whose id matches the `pattern` (DENY, DENY-002, DENY-00*.status), several times if need be")
	f.StringVar(&r.baseline, "baseline", "", "`file` with the checks it is known to fail; strict")
	f.StringVar(&r.reportDir, "report-dir", "", "write the reports into the `directory`")
	f.BoolVar(&r.json, "json", false, "print report.json on standard output and nothing else there")
	f.BoolVar(&r.require, "require-conformant", false, "exit with status 4 when the verdict is partial")
	f.IntVar(&r.repeat, "repeat", 1, "run everything `n` times; one failure is a failure")
	f.Int64Var(&r.seed, "seed", 0, "run the checks in an order of chance made from the `number`; 0 is the order of the specification")
	f.Float64Var(&r.scale, "timeout-scale", 1, "`factor` for everything the suite waits for; slow machines want more")
	f.BoolVar(&r.trace, "trace", false, "print the record of every check, and what the proxy says")
	f.StringVar(&r.spec, "spec", conformance.SpecVersion, "`version` of the specification")
}

// check refuses what cannot be meant.
func (r *runFlags) check(rest []string) error {
	ways := 0
	for _, w := range []string{r.exec, r.launch, r.proxy} {
		if w != "" {
			ways++
		}
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("what is %q for? A command line goes into quotes: --exec 'proxy {listen}'", rest[0])
	case ways != 1:
		return errors.New("say what to test, by exactly one of --exec, --launch and --proxy")
	case r.proxy != "" && r.with == "":
		return errors.New("--proxy needs --with 'CMD…': the suite's Internet is its own, and only what is started in it can be reached there")
	case r.proxy == "" && r.with != "":
		return errors.New("--with belongs to --proxy")
	case r.proxy != "" && r.fixedPolicy == "":
		return errors.New("--proxy needs --fixed-policy: the name of the policy it enforces, or the file with its lines (list --policies)")
	case r.repeat < 1:
		return fmt.Errorf("--repeat %d: at least once", r.repeat)
	case !(r.scale > 0):
		return fmt.Errorf("--timeout-scale %v: more than nothing", r.scale)
	case r.spec != conformance.SpecVersion:
		return fmt.Errorf("--spec %s: this suite has specification %s only", r.spec, conformance.SpecVersion)
	}
	return nil
}

// options are the options for the suite.
func (r *runFlags) options() []conformance.Option {
	return []conformance.Option{
		conformance.Select(r.patterns...), conformance.TimeoutScale(r.scale), conformance.Repeat(r.repeat),
		conformance.Seed(r.seed), conformance.ReportDir(r.reportDir),
	}
}

// known reads the baseline.
func (r *runFlags) known() (*conformance.Baseline, error) {
	if r.baseline == "" {
		return nil, nil
	}
	f, err := os.Open(r.baseline)
	if err != nil {
		return nil, fmt.Errorf("--baseline: %w", err)
	}
	defer f.Close()
	return conformance.ParseBaseline(f)
}

// again is the command that repeats one check of this run, to be pasted into a shell.
func (r *runFlags) again(program, id string) string {
	words := []string{program, "run"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, quote(value))
		}
	}
	add("--exec", r.exec)
	add("--launch", r.launch)
	add("--proxy", r.proxy)
	add("--with", r.with)
	add("--fixed-policy", r.fixedPolicy)
	add("--features", strings.Join(r.features, ","))
	if r.scale != 1 {
		add("--timeout-scale", strconv.FormatFloat(r.scale, 'g', -1, 64))
	}
	add("--run", id)
	return strings.Join(append(words, "--trace"), " ")
}

// quote puts a word into quotes when a shell would see more in it.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=@%+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
