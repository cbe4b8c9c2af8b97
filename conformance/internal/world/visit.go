// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
)

// Script says what the upstream does. The zero value is a good proxy that asks nobody for credentials.
type Script struct {
	// User and Password are asked for, unless both are empty.
	User, Password string

	// Head opens the tunnel in place of the usual answer, and Behind comes in the same write behind it. With
	// Pieces the first byte of all that and its last but one come first, each some time before what follows.
	Head, Behind string
	Pieces       bool

	// Refuse makes no tunnel: Opening and Answer are sent as they are, then comes what Then says.
	Refuse          bool
	Opening, Answer string
	Then            Then

	// Method and Login are sent in place of the answers to a SOCKS greeting and to its credentials; then it goes on
	// as if all were well.
	Method, Login string

	// Certificate is the one shown to clients that speak TLS.
	Certificate Certificate
	// Clear answers in clear text at the door for TLS.
	Clear bool
}

// Then is what follows the answer of an upstream that refuses.
type Then int

const (
	// Close ends the connection.
	Close Then = iota
	// Hold keeps it open, silent, until the client ends it.
	Hold
	// Flood sends the answer over and over, until the client ends or FloodSize bytes are out; then it holds.
	Flood
	// Drip sends a byte of the answer now and then, the last one again and again, until the client ends.
	Drip
)

// FloodSize is more than anybody with the limit of SPEC.md, 1 MiB, takes for the head of an answer: what waits in the
// buffers of both sockets, 6 MiB at most unless somebody has asked for more, is counted too.
const FloodSize = 8 << 20

// Certificate says what is wrong with the upstream's certificate.
type Certificate int

const (
	// Good is what it has to be.
	Good Certificate = iota
	// WrongName is for another name.
	WrongName
	// UnknownAuthority is signed by nobody the client was told of.
	UnknownAuthority
	// Expired was good until yesterday.
	Expired
)

// Visit is one connection to the upstream, as far as it had come when it was asked for. What a request says is in it
// before the upstream answers; Taken and SNI are complete once the connection is over (Final).
type Visit struct {
	Way Way
	// Asked: a whole request came, for Target, which is a name or, Literal, an address.
	Asked   bool
	Target  string
	Literal bool
	// Head is the request as it came, of a SOCKS client nothing.
	Head string
	// User and Password are the credentials that came, if Credentials did.
	Credentials    bool
	User, Password string
	// First is what came first at the door for TLS that was no TLS; SNI is the name asked for by one that was.
	First, SNI string
	// Taken is how much of an answer without end was written.
	Taken int64

	v *visit
}

// Final waits until the connection is over on the upstream's side, if the script leaves that to the client until he
// has ended it, and returns all there is to say of it.
func (v Visit) Final(ctx context.Context) (Visit, error) {
	select {
	case <-v.v.done:
		return v.v.snapshot(), nil
	case <-ctx.Done():
		return v, fmt.Errorf("conformance: the connection to the upstream has not ended: %w", ctx.Err())
	}
}

// visit is a visit while it lasts. The fields of Visit belong to the goroutine that serves it.
type visit struct {
	Visit
	marker bool          // guarded by Upstream.mu
	done   chan struct{} // closed when it is over

	mu  sync.Mutex
	now Visit // guarded by mu
}

// publish lets others see what is known so far.
func (v *visit) publish() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = v.Visit
}

func (v *visit) snapshot() Visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := v.now
	out.v = v
	return out
}

// String is one line for the failure text. The password is one of the suite's own.
func (v Visit) String() string {
	switch {
	case v.First != "":
		return fmt.Sprintf("%s: in clear text: %.60q", v.Way, v.First)
	case !v.Asked:
		return fmt.Sprintf("%s: no request", v.Way)
	case v.Credentials:
		return fmt.Sprintf("%s: asked for %s, with credentials of %s", v.Way, v.Target, v.User)
	}
	return fmt.Sprintf("%s: asked for %s", v.Way, v.Target)
}

// Field returns the values of a field of the request.
func (v Visit) Field(name string) []string {
	var out []string
	for line := range strings.SplitSeq(v.Head, "\r\n") {
		n, value, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(n, name) {
			out = append(out, strings.Trim(value, " \t"))
		}
	}
	return out
}

// basic reads credentials of the scheme Basic, RFC 7617.
func (v *Visit) basic() {
	for _, f := range v.Field("Proxy-Authorization") {
		scheme, code, _ := strings.Cut(f, " ")
		text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(code))
		if err != nil || !strings.EqualFold(scheme, "Basic") {
			continue
		}
		v.User, v.Password, v.Credentials = cut(string(text))
	}
}

func cut(text string) (string, string, bool) {
	user, password, ok := strings.Cut(text, ":")
	return user, password, ok
}
