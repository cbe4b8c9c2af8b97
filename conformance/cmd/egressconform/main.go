// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command egressconform runs the conformance suite against any egress proxy or sandbox that can be started by a
// command line. It needs nothing but itself and Linux: the fake Internet is inside.
//
//	egressconform run --exec './myproxy --listen {listen} --allow {allow}'
//	egressconform run --launch './mysandbox --allow {allow} -- {cmd}'
//
// See "egressconform help".
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/pflag"
)

// Exit statuses.
const (
	exitOK            = 0 // conformant or partial
	exitFailed        = 1 // a check failed, the baseline is stale, a report does not verify, a mutant survived
	exitUsage         = 2 // command line or configuration
	exitInvalid       = 3 // the run could not be carried out: it says nothing about the backend
	exitNotConformant = 4 // partial, with --require-conformant
)

// app is one execution of the command.
type app struct {
	program        string
	stdout, stderr io.Writer
}

// command is one of the words behind the program's name.
type command struct {
	name, args, short string
	run               func(a *app, args []string) int
}

// The list is a function, since help is in it and prints it.
func commands() []command {
	return []command{
		{"run", "(--exec 'CMD…' | --launch 'CMD…' | --proxy URL --with 'CMD…' --fixed-policy P)", "run the suite", (*app).run},
		{"baseline", "(as run)", "run it and print what fails, as a file for --baseline", (*app).baseline},
		{"list", "", "list the checks", (*app).list},
		{"explain", "ID…", "what a requirement, or each of a pattern (DENY-*), says, why, and how the suite proves it", (*app).explain},
		{"verify", "report.json…", "is the report complete and consistent?", (*app).verify},
		{"selftest", "", "break the reference proxy in every known way and see that the suite notices", (*app).selftest},
		{"version", "", "print the version", (*app).version},
		{"help", "[COMMAND]", "print this, or the flags of a command", (*app).help},
	}
}

func main() {
	a := &app{program: os.Args[0], stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(a.main(os.Args[1:]))
}

func (a *app) main(args []string) int {
	if len(args) == 0 {
		a.usage(a.stderr)
		return exitUsage
	}
	name, args := args[0], args[1:]
	if name == "-h" || name == "--help" {
		name = "help"
	}
	if name == "--version" {
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(a, args)
		}
	}
	return a.wrong(fmt.Errorf("%q is no command; %s help lists them", name, a.program))
}

// wrong reports an error of usage or configuration.
func (a *app) wrong(err error) int {
	fmt.Fprintf(a.stderr, "egressconform: %v\n", err)
	return exitUsage
}

// invalid reports that nothing could be found out.
func (a *app) invalid(err error) int {
	fmt.Fprintf(a.stderr, "egressconform: %v\n", err)
	return exitInvalid
}

func (a *app) usage(w io.Writer) {
	fmt.Fprint(w, "Does this egress proxy, or this sandbox, hold?\n\nUsage:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  egressconform %-9s %s\n%26s%s\n", c.name, c.args, "", c.short)
	}
	fmt.Fprint(w, `
Exit status:
  0  conformant, or partial with a warning
  1  a check failed, or the baseline lists one that does not
  2  wrong usage or configuration
  3  invalid: the backend could not be tested, which says nothing about it
  4  partial, with --require-conformant
`)
}

// flags makes the flags of a command; those of any package's flag.CommandLine are not among them.
func (a *app) flags(name string) *pflag.FlagSet {
	f := pflag.NewFlagSet(name, pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.SortFlags = false
	return f
}

// parse parses args; done says that the command has nothing more to do than exit with status.
func (a *app) parse(f *pflag.FlagSet, args []string) (done bool, status int) {
	err := f.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		a.describe(f)
		return true, exitOK
	case err != nil:
		return true, a.wrong(fmt.Errorf("%s: %w; %s help %s lists the flags", f.Name(), err, a.program, f.Name()))
	}
	return false, 0
}

// describe prints the help of a command.
func (a *app) describe(f *pflag.FlagSet) {
	for _, c := range commands() {
		if c.name == f.Name() {
			fmt.Fprintf(a.stdout, "egressconform %s %s\n\n%s.\n", c.name, c.args, upper(c.short))
		}
	}
	if f.HasFlags() {
		fmt.Fprintf(a.stdout, "\nFlags:\n%s", f.FlagUsages())
	}
	if f.Lookup("exec") != nil {
		fmt.Fprint(a.stdout, placeholders)
	}
}

func upper(s string) string { return string(s[0]-'a'+'A') + s[1:] }

func (a *app) help(args []string) int {
	if len(args) == 0 {
		a.usage(a.stdout)
		return exitOK
	}
	if args[0] == "help" {
		return a.wrong(errors.New("help of help: name a command"))
	}
	return a.main([]string{args[0], "--help"})
}

func (a *app) version(args []string) int {
	f := a.flags("version")
	asJSON := f.Bool("json", false, "print JSON")
	if done, status := a.parse(f, args); done {
		return status
	}
	v := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		v = info.Main.Version
	}
	return a.printVersion(v, *asJSON)
}
