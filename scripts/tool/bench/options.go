// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
)

// options are what the command line asks for.
type options struct {
	quick   bool
	repeat  int      // rounds of set-ups and streams; 0 leaves it to quick
	only    []string // parts; all if empty
	proxies []string // all if empty
	out     string   // directory for the results; none if empty
	readme  string   // file whose table is replaced; none if empty
	bin     string   // directory with the programs goproxy and sallyport
	render  bool     // measure nothing: write the tables again from the results in out
}

// parts are what can be measured by itself.
var parts = []string{"setup", "streams", "idle", "start", "filter", "many"}

// parseOptions reads the command line. What it does not know is an error: a word that is misspelt must not measure
// everything else.
func parseOptions(args []string) (o options, err error) {
	f := flag.NewFlagSet("./scripts/bench", flag.ContinueOnError)
	f.BoolVar(&o.quick, "quick", false, "about a minute instead of twenty: fewer rounds, shorter ones, fewer sizes")
	only := f.String("only", "", "`parts` to measure, separated by commas: "+strings.Join(parts, ","))
	f.IntVar(&o.repeat, "rounds", 0, "`number` of rounds of set-ups and streams; 0 leaves it to -quick")
	f.StringVar(&o.out, "out", "", "`directory` for the results; nothing but the table on standard output if empty")
	f.StringVar(&o.readme, "readme", "", "`file` in which the table between the benchmark markers is replaced")
	proxies := f.String("proxies", "", "`names` of proxies to measure, separated by commas: "+strings.Join(kindNames(), ",")+"; all if empty")
	f.StringVar(&o.bin, "bin", "", "`directory` with the programs goproxy and sallyport")
	f.BoolVar(&o.render, "render", false, "measure nothing, but write tables and plot again from results.json")
	var usage strings.Builder
	f.SetOutput(&usage)
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage.String())
		return o, err
	case err != nil:
		return o, fmt.Errorf("bench: %w: see ./scripts/bench -help", err)
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("bench: %q is no option; options begin with a dash: see ./scripts/bench -help", f.Arg(0))
	}
	if o.repeat < 0 {
		return o, fmt.Errorf("bench: -rounds %d: give a number from 1 on, or leave it out", o.repeat)
	}
	if o.render && o.out == "" {
		return o, errors.New("bench: -render needs all of the results: leave -quick, -only and -proxies out")
	}
	if o.only, err = words("-only", *only, parts); err != nil {
		return o, err
	}
	o.proxies, err = words("-proxies", *proxies, kindNames())
	return o, err
}

// words splits a list whose words must be known.
func words(name, list string, known []string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	all := strings.Split(list, ",")
	for _, w := range all {
		if !slices.Contains(known, w) {
			return nil, fmt.Errorf("bench: %s: there is no %q; there are %s", name, w, strings.Join(known, ", "))
		}
	}
	return all, nil
}

// command gives the command that was run, but for where things are.
func (o options) command() string {
	c := "./scripts/bench"
	if o.quick {
		c += " -quick"
	}
	if len(o.only) > 0 {
		c += " -only " + strings.Join(o.only, ",")
	}
	if len(o.proxies) > 0 {
		c += " -proxies " + strings.Join(o.proxies, ",")
	}
	if o.repeat > 0 {
		c += fmt.Sprintf(" -rounds %d", o.repeat)
	}
	return c
}

func kindNames() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// wanted are the proxies that are to be measured.
func (o options) wanted() []kind {
	if len(o.proxies) == 0 {
		return kinds
	}
	return slices.DeleteFunc(slices.Clone(kinds), func(k kind) bool { return !slices.Contains(o.proxies, k.name) })
}

// wants says whether a part is to be measured.
func (o options) wants(part string) bool { return len(o.only) == 0 || slices.Contains(o.only, part) }

// howOften is the number of rounds of a measurement.
func (o options) howOften(quick, full int) int {
	if o.repeat > 0 {
		return o.repeat
	}
	return pick(o, quick, full)
}

// pick is quick in a quick run, and full otherwise.
func pick[T any](o options, quick, full T) T {
	if o.quick {
		return quick
	}
	return full
}
