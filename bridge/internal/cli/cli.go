// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package cli is the command sallyport: its subcommands, their flags and their
// exit statuses. What they do is done by proxycore and bridge; what is said to
// people is said here. The reference is cmd/sallyport/README.md.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge"
)

// Exit statuses of the subcommands other than run. Those of run are the
// command's own and bridge.ExitFailed, ExitCannotRun and ExitNotFound.
const (
	exitOK     = 0
	exitDenied = 1 // check: some target is denied
	exitOpen   = 1 // run --explain without a command: something that is to be shut is not
	exitFailed = 1 // proxy: it could not start, or it died
	exitUsage  = 2 // the command line, the policy or a target is not valid
)

// Streams are the command's standard streams. They are files because the
// sandboxed command gets them, too.
type Streams struct {
	Stdin, Stdout, Stderr *os.File
}

// subcommand is one of the words that can follow sallyport.
type subcommand struct {
	name    string
	line    string // what it does, for the overview
	help    string // the long help, %s is where the flags go
	failure int    // the exit status for a command line that is not valid
	flags   func() flagged
}

// flagged is a subcommand with its flags, ready to be parsed and run.
type flagged interface {
	flagSet() *pflag.FlagSet
	run(s Streams, args []string) int
}

// subcommands lists them in the order of the overview.
func subcommands() []subcommand {
	return []subcommand{
		{"run", "run a command that reaches the allowed hosts and nothing else", runHelp, bridge.ExitFailed, newRun},
		{"proxy", "run the proxy alone, for sandboxes made by something else", proxyHelp, exitUsage, newProxy},
		{"attach", "run a command inside a container that has no network, with the proxy outside", attachHelp, bridge.ExitFailed, newAttach},
		{"check", "say what a policy allows, without sending anything", checkHelp, exitUsage, newCheck},
		{"version", "print the version", versionHelp, exitUsage, newVersion},
	}
}

// Main runs the command with the arguments behind its name and returns its
// exit status. It installs signal handlers while a sandbox or a proxy runs and
// marks inherited descriptors close-on-exec, so it is for a main function, not
// for use inside a larger program. bridge.Init must have been called.
func Main(s Streams, args []string) int {
	closeInheritedOnExec()
	if len(args) == 0 {
		fmt.Fprint(s.Stderr, overview())
		return exitUsage
	}
	switch name := args[0]; name {
	case "help", "-h", "--help":
		return help(s, args[1:])
	case "--version", "-v", "-V":
		return newVersion().run(s, nil)
	default:
		for _, c := range subcommands() {
			if c.name == name {
				return c.main(s, args[1:])
			}
		}
		return unknownWord(s, name)
	}
}

// main parses the flags and runs the subcommand.
func (c subcommand) main(s Streams, args []string) int {
	f := c.flags()
	set := f.flagSet()
	set.Usage = func() {}
	err := set.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		if print(s, s.Stdout, c.text(set)) != exitOK {
			return c.failure
		}
		return exitOK
	}
	if err == nil {
		err = emptyValues(set)
	}
	if err != nil {
		complain(s.Stderr, flagError(set, err))
		fmt.Fprintf(s.Stderr, "Try 'sallyport help %s'.\n", c.name)
		return c.failure
	}
	return f.run(s, set.Args())
}

// text is the subcommand's whole help.
func (c subcommand) text(set *pflag.FlagSet) string {
	return strings.Replace(c.help, "%FLAGS%", strings.TrimRight(set.FlagUsagesWrapped(100), "\n"), 1)
}

// help prints the overview or the help of one subcommand.
func help(s Streams, args []string) int {
	if len(args) == 0 || args[0] == "help" {
		return print(s, s.Stdout, overview())
	}
	var names []string
	for _, c := range subcommands() {
		if c.name == args[0] {
			return print(s, s.Stdout, c.text(c.flags().flagSet()))
		}
		names = append(names, c.name)
	}
	hint := "there is help for " + strings.Join(names, ", ")
	if near := nearest(args[0], names); near != "" {
		hint = "did you mean " + near + "?"
	}
	complain(s.Stderr, fmt.Errorf("no help for %q; %s", args[0], hint))
	return exitUsage
}

// unknownWord reports a first word that is no subcommand.
func unknownWord(s Streams, name string) int {
	if strings.HasPrefix(name, "-") {
		complain(s.Stderr, fmt.Errorf("%s stands before the subcommand; write it behind, as in: sallyport run %s ... -- COMMAND", name, name))
		return exitUsage
	}
	var names []string
	for _, c := range subcommands() {
		names = append(names, c.name)
	}
	hint := "write sallyport run ... -- " + name + " to run a command"
	if near := nearest(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	complain(s.Stderr, fmt.Errorf("%q is not a subcommand; %s", name, hint))
	fmt.Fprintln(s.Stderr, "Try 'sallyport help'.")
	return exitUsage
}

// print writes text that was asked for; failing to is a failure.
func print(s Streams, w io.Writer, text string) int {
	if _, err := io.WriteString(w, text); err != nil {
		complain(s.Stderr, err)
		return exitUsage
	}
	return exitOK
}

// complain prints an error, each of several joined ones on a line of its own.
// Which of our packages it comes from tells a user nothing.
func complain(w io.Writer, err error) {
	for _, one := range flatten(err) {
		fmt.Fprintf(w, "sallyport: %s\n", wording(one))
	}
}

// wording is the text of an error as it is shown. No message of ours shows a URL with a
// password knowingly; one that quotes what stands where it does not belong hides it here.
func wording(err error) string { return withoutUserinfo(withoutPackage(err.Error())) }

// withoutPackage takes the name of a package of ours from the start of an error's text.
func withoutPackage(text string) string {
	for _, name := range []string{"bridge: ", "proxycore: ", "external: ", "trust: "} {
		text = strings.TrimPrefix(text, name)
	}
	return text
}

// at puts before an error the option, or the place in a file, that it is about.
func at(source string, err error) error { return &sourceError{source, err} }

type sourceError struct {
	source string
	err    error
}

// Error implements error.
func (e *sourceError) Error() string { return e.source + ": " + withoutPackage(e.err.Error()) }

// Unwrap gives the error without the place.
func (e *sourceError) Unwrap() error { return e.err }

// flatten takes errors.Join apart, and leaves alone an error that merely wraps
// several and has a text of its own.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	var lines []string
	for _, one := range joined.Unwrap() {
		all = append(all, flatten(one)...)
		lines = append(lines, one.Error())
	}
	if strings.Join(lines, "\n") != err.Error() {
		return []error{err}
	}
	return all
}
