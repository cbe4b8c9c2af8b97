// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package policyfile reads the two kinds of file a policy can come from: the
// YAML document of --policy and the plain pattern list of --allow @FILE.
//
// Both readers are strict. A key nobody knows, a value of the wrong type, a
// key given twice, an empty document: each is an error with the file and the
// line, because a policy that is read differently from how it was meant is
// worse than none. Neither reader judges the patterns themselves; each pattern
// keeps the place it was read from, so that whoever does can name it.
//
// A policy document knows these keys, all optional, at least one present:
//
//	allow: ["github.com", "*.githubusercontent.com"]
//	deny:  ["gist.github.com"]
//	resolve:
//	  db.internal: 10.0.0.7
//	  api.internal: [10.0.0.8, "2001:db8::8"]
//	upstream:
//	  url: https://proxy.example.com:3128
//	  credentials: /etc/sallyport/proxy-credentials
//	  lookup: here
//
// Where only the URL is to be said, upstream may be that text alone.
package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"unicode/utf8"
)

// MaxBytes bounds what is read of one file: enough for a hundred thousand
// patterns, too little for /dev/zero to fill the memory.
const MaxBytes = 16 << 20

// Pattern is one allow or deny pattern, as written, and where it was written.
type Pattern struct {
	// Text is the pattern without the blanks around it. Never empty.
	Text string
	// Source is the place, as FILE:LINE, or what else names it, such as "--allow".
	Source string
}

// Pin is the answer to be given for a name instead of asking a resolver.
type Pin struct {
	// Name is the host name as written.
	Name string
	// Addrs are the addresses, at least one.
	Addrs []netip.Addr
	// Source is the place, as in Pattern.
	Source string
}

// Upstream names a proxy to go through. Nothing in it is judged here. Its URL may
// hold a password, so its text forms show nothing but the place.
type Upstream struct {
	// URL is what was written, without the blanks around it. Never empty in a File.
	URL string
	// Credentials names a file or env:NAME; "" if not given.
	Credentials string
	// Lookup says where names are looked up; "" if not given.
	Lookup string
	// Source is the place of the key upstream, as in Pattern.
	Source string
}

// String hides the URL.
func (u Upstream) String() string { return "upstream of " + u.Source }

// GoString hides the URL from %#v, too.
func (u Upstream) GoString() string { return u.String() }

// File is what one policy document says. The zero value says nothing, which is
// to deny everything.
type File struct {
	Allow, Deny []Pattern
	Resolve     []Pin
	// Upstream is nil where the document does not name one.
	Upstream *Upstream
}

// Error is a problem at one place of a file.
type Error struct {
	// File is the name the file was read by.
	File string
	// Line counts from 1. 0: the problem belongs to no single line.
	Line int
	// Problem says what is wrong and what to write instead.
	Problem string
}

// Error implements error: FILE:LINE: problem.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Problem)
}

// Load reads the policy document in the named file. Problems with its content
// are *Error, all of them joined.
func Load(name string) (*File, error) {
	data, err := read(name)
	if err != nil {
		return nil, err
	}
	return Parse(name, data)
}

// LoadList reads the named file as a list of patterns, see [ParseList].
func LoadList(name string) ([]Pattern, error) {
	data, err := read(name)
	if err != nil {
		return nil, err
	}
	return ParseList(name, data)
}

// read returns the content of the named file.
func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be opened: %w", name, withoutPath(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", name, withoutPath(err))
	}
	if len(data) > MaxBytes {
		return nil, &Error{File: name, Problem: fmt.Sprintf("is larger than %d MiB, which no policy is", MaxBytes>>20)}
	}
	return data, nil
}

// withoutPath takes the operation and the path out of an error that names the file anyway.
func withoutPath(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// clean removes a byte order mark and refuses what is not UTF-8 text.
func clean(name string, data []byte) ([]byte, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		return nil, &Error{File: name, Line: invalidLine(data), Problem: "is not UTF-8 text; save it as UTF-8"}
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return nil, &Error{File: name, Line: 1 + bytes.Count(data[:i], []byte("\n")), Problem: "holds a NUL byte; save it as UTF-8 text"}
	}
	return data, nil
}

// invalidLine is the line of the first byte that is not UTF-8.
func invalidLine(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n <= 1 {
			return line
		}
		if r == '\n' {
			line++
		}
		data = data[n:]
	}
	return line
}
