// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge/internal/policyfile"
)

// newFlagSet returns an empty set whose errors come back to the caller.
func newFlagSet(name string) *pflag.FlagSet {
	set := pflag.NewFlagSet(name, pflag.ContinueOnError)
	set.SortFlags = false
	return set
}

// patternList is the value of --allow and --deny: patterns separated by
// commas, or @FILE for a list read from a file. The file is read when the
// policy is loaded, so that it can be loaded again.
type patternList struct {
	flag  string // for messages
	items []patternItem
}

// patternItem is one pattern or one file of them.
type patternItem struct {
	pattern policyfile.Pattern
	file    string // not "": the name of a file, and pattern is empty
}

// Set implements pflag.Value.
func (l *patternList) Set(value string) error {
	if name, ok := strings.CutPrefix(value, "@"); ok {
		if name == "" {
			return errors.New("@ must be followed by the name of a file with one pattern on each line")
		}
		l.items = append(l.items, patternItem{file: name})
		return nil
	}
	for text := range strings.SplitSeq(value, ",") {
		text = strings.TrimSpace(text)
		switch {
		case text == "":
			return errors.New("an empty pattern; write a host such as github.com, or leave the option out to name none")
		case strings.HasPrefix(text, "@"):
			return fmt.Errorf("%s must stand alone; write %s %s as an option of its own", text, l.flag, text)
		}
		l.items = append(l.items, patternItem{pattern: policyfile.Pattern{Text: text, Source: l.flag}})
	}
	return nil
}

// String implements pflag.Value; there is no default to show.
func (l *patternList) String() string { return "" }

// Type implements pflag.Value.
func (l *patternList) Type() string { return "P[,P]|@FILE" }

// pinList is the value of --resolve.
type pinList []policyfile.Pin

// Set implements pflag.Value.
func (l *pinList) Set(value string) error {
	name, list, ok := strings.Cut(value, "=")
	if !ok || name == "" {
		return errors.New("write NAME=ADDR, such as db.internal=10.0.0.7")
	}
	pin := policyfile.Pin{Name: name, Source: "--resolve"}
	for text := range strings.SplitSeq(list, ",") {
		addr, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || addr.Zone() != "" {
			return fmt.Errorf("%q is not an IP address; write NAME=ADDR, such as db.internal=10.0.0.7", text)
		}
		pin.Addrs = append(pin.Addrs, addr.Unmap())
	}
	*l = append(*l, pin)
	return nil
}

// String implements pflag.Value.
func (l *pinList) String() string { return "" }

// Type implements pflag.Value.
func (l *pinList) Type() string { return "NAME=ADDR[,ADDR]" }

// flagError adds to pflag's error for an unknown flag which one was meant.
func flagError(set *pflag.FlagSet, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	if short := unknown.GetSpecifiedShortnames(); len(short) > 1 {
		// pflag shows the whole word, with what may be a URL with a password behind the name.
		name := strings.FieldsFunc(short, func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' })
		if len(name) > 0 && set.Lookup(name[0]) != nil {
			return fmt.Errorf("unknown shorthand flags; options begin with two dashes: did you mean --%s?", name[0])
		}
		return errors.New("unknown shorthand flags; options begin with two dashes")
	}
	var names []string
	set.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	for _, c := range subcommands() {
		if f := c.flags().flagSet().Lookup(unknown.GetSpecifiedName()); f != nil && !f.Hidden {
			return fmt.Errorf("%w; --%s is an option of sallyport %s", err, f.Name, c.name)
		}
	}
	if near := nearest(unknown.GetSpecifiedName(), names); near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

// emptyValues finds options that name something with an empty word, which is what a
// shell makes of a variable that is not set: "" must not stand for the default.
func emptyValues(set *pflag.FlagSet) error {
	var problems []error
	set.Visit(func(f *pflag.Flag) {
		empty := f.Value.Type() == "string" && f.Value.String() == ""
		if w, ok := f.Value.(*word); ok {
			empty = w.empty()
		}
		if list, ok := f.Value.(pflag.SliceValue); ok && f.Name != "bwrap-arg" { // whose words may be empty
			empty = slices.Contains(list.GetSlice(), "")
		}
		if empty {
			problems = append(problems, fmt.Errorf("--%s has an empty value; give it one, or leave the option out (is it a variable that is not set?)", f.Name))
		}
	})
	return errors.Join(problems...)
}

// nearest returns the candidate that word is most probably a misspelling of,
// or "".
func nearest(word string, candidates []string) string {
	best, bestDistance := "", 3
	for _, c := range candidates {
		d := distance(word, c)
		if len(word) >= 3 && strings.HasPrefix(c, word) {
			d = min(d, 1)
		}
		if d < bestDistance && d < min(len(c), len(word)) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of single-character edits between a and b. Words
// longer than any option are far from all of them.
func distance(a, b string) int {
	if len(a) > 40 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
