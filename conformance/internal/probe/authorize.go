// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"io"
)

// authorizer adds the field Proxy-Authorization behind the request line of the first request that passes, and
// leaves every other byte as it is: a proxy that asks for credentials, and gives them with its URL, is then judged
// by the rest of the head like any other. Without a value it changes nothing.
type authorizer struct {
	w     io.Writer
	value string
	begun bool // a byte of the request line has passed
	done  bool
}

func (a *authorizer) Write(p []byte) (int, error) {
	end := a.lineEnd(p)
	if end < 0 {
		return a.w.Write(p)
	}
	a.done = true
	out := append(bytes.Clone(p[:end]), "Proxy-Authorization: "+a.value+"\r\n"...)
	if _, err := a.w.Write(append(out, p[end:]...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// lineEnd returns the place behind the request line, or -1 as long as it has not come. Empty lines before it are
// no part of it.
func (a *authorizer) lineEnd(p []byte) int {
	if a.done || a.value == "" {
		return -1
	}
	for i, b := range p {
		switch {
		case b == '\n' && a.begun:
			return i + 1
		case b != '\n' && b != '\r':
			a.begun = true
		}
	}
	return -1
}
