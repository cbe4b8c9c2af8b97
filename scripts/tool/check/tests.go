// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	backendsDir   = "./conformance/backends"
	e2eDir        = "./scripts/e2e"
	containersDir = "./scripts/e2e/containers"
	mutantDir     = "./conformance/internal/mutant"
)

// testSteps lists the checks that run the code. The suite and the end-to-end tests spend most of their time waiting,
// each in a fake Internet of its own, and so may run beside each other.
func testSteps(t *tree) []step {
	steps := []step{
		{name: "unit", about: "unit tests with -race, in random order", run: t.unit},
		{name: "unit:static", about: "bridge without cgo, where process 1 of a sandbox is another one", run: t.unitStatic},
		{name: "fuzz", about: "every fuzz target, a few seconds each", run: t.fuzz},
	}
	steps = append(steps, backendSteps(t)...)
	ends := &group{width: 2}
	steps = append(steps, step{name: "e2e", about: "real clients through sallyport run, in the fake Internet",
		tools: e2eTools, group: ends, run: t.e2eAsCaller})
	if os.Geteuid() == 0 {
		steps = append(steps, step{name: "e2e:user", about: "the same as an ordinary user",
			tools: e2eTools, group: ends, run: t.e2eAsUser})
	}
	return append(steps, step{name: "e2e:containers", about: "containers without a network, and the proxy as one",
		tools: []string{"docker"}, group: ends, run: t.e2eContainers},
		// Alone, so that what it prints means something; what it measures decides nothing.
		step{name: "bench", about: "the benchmark works: scripts/bench -quick, no figure of which can fail it",
			tools: []string{"haproxy", "squid", "tinyproxy", "bwrap"}, run: t.bench})
}

// bench fails when something could not be measured. How fast it was is not looked at: the machine is anyone's.
func (t *tree) bench(ctx context.Context, o *output) error {
	return t.do(ctx, o.w, "./scripts/bench", "-quick")
}

// containers sees to it that a Docker engine answers.
func (t *tree) containers(ctx context.Context) error {
	dir, err := os.MkdirTemp(t.tmp, "docker-")
	if err != nil {
		return err
	}
	return t.engine.use(ctx, dir)
}

// e2eContainers needs no second run as somebody else: who may use Docker is root.
func (t *tree) e2eContainers(ctx context.Context, o *output) error {
	if err := t.containers(ctx); err != nil {
		o.skip("e2e:containers", err.Error())
		return nil
	}
	return t.goTest(ctx, o, "-count=1", "-timeout=5m", containersDir)
}

var e2eTools = []string{"bwrap", "curl", "wget", "git", "python3", "node", "setpriv"}

// unit runs the tests of every module but those that are steps of their own.
func (t *tree) unit(ctx context.Context, o *output) error {
	// Without an engine the tests of fixtures/containers skip themselves, and say so.
	if err := t.containers(ctx); err != nil {
		fmt.Fprintln(o.w, err)
	}
	all, err := t.lines(ctx, "go", append([]string{"list"}, t.patterns(everyModule)...)...)
	if err != nil {
		return err
	}
	apart, err := t.backends(ctx)
	if err != nil {
		return err
	}
	args := append(raceFlag(o), "-shuffle=on", "-timeout=10m")
	for _, p := range all {
		if d := "./" + shortPackage(p); !slices.Contains(apart, p) && !strings.HasPrefix(d, e2eDir) && d != mutantDir {
			args = append(args, p)
		}
	}
	return t.goTest(ctx, o, args...)
}

// unitStatic runs bridge's tests as the command is built: -race needs cgo, with which process 1 of a sandbox
// comes to have no capabilities in another way.
func (t *tree) unitStatic(ctx context.Context, o *output) error {
	c := t.command(ctx, "go", "test", "-json", "-shuffle=on", "-timeout=10m", "./bridge")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	return t.consume(o, c)
}

// backends finds the packages that put one backend each through the suite: they have a conformance_test.go.
func (t *tree) backends(ctx context.Context) ([]string, error) {
	const format = `{{$p := .ImportPath}}{{range .TestGoFiles}}{{$p}} {{.}}
{{end}}{{range .XTestGoFiles}}{{$p}} {{.}}
{{end}}`
	files, err := t.lines(ctx, "go", "list", "-f", format, backendsDir+"/...")
	if err != nil {
		return nil, err
	}
	var packages []string
	for _, line := range files {
		if p, isBackend := strings.CutSuffix(line, " conformance_test.go"); isBackend {
			packages = append(packages, p)
		}
	}
	if len(packages) == 0 {
		return nil, errors.New("no backend in " + backendsDir + " has a conformance_test.go")
	}
	return packages, nil
}

// backendSteps makes one step of each backend.
func backendSteps(t *tree) []step {
	packages, err := t.backends(context.Background())
	if err != nil {
		return []step{{name: "conformance", about: "the suite against every backend",
			run: func(context.Context, *output) error { return err }}}
	}
	suites := &group{width: 3}
	// Without -race, as the suites that make a sandbox for every question: they start hundreds of processes, and the
	// race detector makes each start slow. What they run is tested with -race by the packages it belongs to, and the
	// proxy by the suites of builtin and socket.
	mutants := step{name: "mutants", about: "every fault is caught by exactly the checks named for it", group: suites,
		run: func(ctx context.Context, o *output) error {
			return t.goTest(ctx, o, "-shuffle=on", "-timeout=8m", mutantDir)
		}}
	var long, rest []step
	for _, p := range packages {
		name := strings.TrimPrefix("./"+shortPackage(p), backendsDir+"/")
		s := step{name: "conformance:" + name, about: "the conformance suite against " + name, group: suites,
			run: func(ctx context.Context, o *output) error {
				if name == containerSuite {
					if err := t.containers(ctx); err != nil {
						o.skip("conformance:"+name, err.Error())
						return nil
					}
				}
				args := []string{"-count=1", "-timeout=8m", p}
				if !slices.Contains(longSuites, name) {
					args = append(raceFlag(o), args...)
				}
				return t.goTest(ctx, o, args...)
			}}
		if slices.Contains(longSuites, name) {
			long = append(long, s)
		} else {
			rest = append(rest, s)
		}
	}
	return slices.Concat(long, []step{mutants}, rest)
}

// longSuites begin first, so that none of them is left to run alone at the end: every request of theirs is a process in
// a sandbox.
var longSuites = []string{"bwrap", "userns", containerSuite}

// containerSuite makes a container for every question.
const containerSuite = "container"

var fuzzTarget = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// fuzz finds the targets in the sources: asking the test binaries would mean to build every one of them once more.
func (t *tree) fuzz(ctx context.Context, o *output) error {
	format := `{{$p := .ImportPath}}{{$d := .Dir}}{{range .TestGoFiles}}{{$p}} {{$d}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$p}} {{$d}}/{{.}}
{{end}}`
	files, err := t.lines(ctx, "go", append([]string{"list", "-f", format}, t.patterns(everyModule)...)...)
	if err != nil {
		return err
	}
	var errs []error
	for _, line := range files {
		pkg, file, _ := strings.Cut(line, " ")
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, m := range fuzzTarget.FindAllSubmatch(source, -1) {
			if err := t.fuzzOne(ctx, o, pkg, string(m[1])); err != nil {
				errs = append(errs, fmt.Errorf("%s in %s: %w", m[1], shortPackage(pkg), err))
				o.tally.failed++
				continue
			}
			o.tally.passed++
		}
	}
	return errors.Join(errs...)
}

// fuzzOne starts from the seeds, and not from what earlier runs left in the build cache: on a machine that has fuzzed
// for long, reading that again takes longer than this is to take.
func (t *tree) fuzzOne(ctx context.Context, o *output, pkg, name string) error {
	corpus, err := os.MkdirTemp(t.tmp, "fuzz-")
	if err != nil {
		return err
	}
	var text bytes.Buffer
	err = t.do(ctx, &text, "go", "test", "-run=^$", "-fuzz=^"+name+"$", "-fuzztime=3s", "-fuzzminimizetime=2s", pkg,
		"-args", "-test.fuzzcachedir="+corpus)
	if err != nil {
		fmt.Fprint(o.w, &text)
		return err
	}
	progress := fuzzProgress.FindAllString(text.String(), -1)
	if len(progress) == 0 {
		return fmt.Errorf("nothing was fuzzed:\n%s", &text)
	}
	fmt.Fprintf(o.w, "ok    %s %s %s\n", shortPackage(pkg), name, progress[len(progress)-1])
	return nil
}

var fuzzProgress = regexp.MustCompile(`execs: [1-9]\d*`)

// e2e builds the end-to-end tests and runs them in home; prefix goes before the program. Without -race: what these
// tests look at happens in other processes.
func (t *tree) e2e(ctx context.Context, o *output, home string, prefix ...string) error {
	binary := filepath.Join(home, "e2e.test")
	if err := t.do(ctx, o.w, "go", "test", "-c", "-o", binary, e2eDir); err != nil {
		return err
	}
	binaries := filepath.Join(home, "bin")
	err := os.Mkdir(binaries, 0o755)
	if err == nil {
		err = t.doEnv(ctx, o.w, []string{"CGO_ENABLED=0"}, "go", "build", "-o", binaries,
			"./bridge/cmd/sallyport", "./conformance/cmd/egressconform", e2eDir+"/visitor")
	}
	if err != nil {
		return err
	}
	args := []string{"tool", "test2json", "-p", "github.com/sallyport-dev/sallyport/scripts/e2e", "-t"}
	args = append(append(args, prefix...), binary, "-test.v=test2json", "-test.timeout=8m")
	c := t.command(ctx, "go", args...)
	c.Dir = home
	c.Env = append(os.Environ(), "SALLYPORT_E2E_BINARIES="+binaries, "TMPDIR="+home)
	return t.consume(o, c)
}

// e2eAsCaller runs the end-to-end tests as whoever runs this.
func (t *tree) e2eAsCaller(ctx context.Context, o *output) error {
	home, err := os.MkdirTemp(t.tmp, "home-")
	if err != nil {
		return err
	}
	return t.e2e(ctx, o, home)
}

// e2eAsUser picks an account without privileges. tester is there on machines made for tests; the others are on every
// Debian and own nothing that matters. Not nobody: inside a user namespace it is everybody who is not mapped.
func (t *tree) e2eAsUser(ctx context.Context, o *output) error {
	for _, name := range []string{"tester", "games", "daemon"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		home, err3 := os.MkdirTemp(t.tmp, "home-")
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		if err := os.Chown(home, uid, gid); err != nil {
			return err
		}
		fmt.Fprintf(o.w, "as %s (uid %d)\n", name, uid)
		return t.e2e(ctx, o, home, "setpriv", "--reuid="+u.Uid, "--regid="+u.Gid, "--clear-groups", "--")
	}
	o.skip("e2e:user", "no account to run as: useradd tester")
	return nil
}
