// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"github.com/spf13/pflag"
)

// word is the value of an option that may hold a secret, such as a URL with a password.
// Set takes everything: pflag shows the value when Set returns an error. What is wrong with it
// is said later, in words of our own that leave it out.
type word struct {
	flag   string // with its dashes, for messages
	values []string
}

// define adds the option to set.
func (w *word) define(set *pflag.FlagSet, name, usage string) {
	w.flag = "--" + name
	set.Var(w, name, usage)
}

// Set implements pflag.Value.
func (w *word) Set(value string) error { w.values = append(w.values, value); return nil }

// String implements pflag.Value; there is no default to show, and a value is not shown.
func (w *word) String() string { return "" }

// Type implements pflag.Value; the usage names the value.
func (w *word) Type() string { return "word" }

// empty reports whether it was given without a value, see emptyValues.
func (w *word) empty() bool {
	for _, v := range w.values {
		if v == "" {
			return true
		}
	}
	return false
}

// given reports whether the option is there.
func (w *word) given() bool { return len(w.values) > 0 }

// value is what was given, or "".
func (w *word) value() string {
	if len(w.values) == 0 {
		return ""
	}
	return w.values[len(w.values)-1]
}

// twice finds options given more than once, of which no one can tell which is meant.
func twice(words ...*word) error {
	var problems []error
	for _, w := range words {
		if len(w.values) > 1 {
			problems = append(problems, fmt.Errorf("%s is there %d times; leave the one that is meant", w.flag, len(w.values)))
		}
	}
	return errors.Join(problems...)
}

// userinfo matches what stands before the host of a URL. Passwords hold characters that
// should have been escaped, so it goes to the last @ of the word.
var userinfo = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`://[^\s"']*@`) })

// withoutUserinfo hides credentials in URLs of a text that others wrote. The messages
// about options that take one show no value at all; this is for those that got
// one by mistake, and for words that are no option.
func withoutUserinfo(text string) string { return userinfo().ReplaceAllString(text, "://***@") }
