// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

const (
	defaultStartTimeout = 5 * time.Second
	defaultStopGrace    = 5 * time.Second
)

// Spec describes a proxy program to start. The zero value is not usable: Argv
// must name a command. A Spec is only data and may be used for any number of starts.
type Spec struct {
	// Argv is the program and its arguments, handed to the kernel as they are: no
	// shell ever sees them. A program without a slash is looked up in this process's
	// PATH. It must stay in the foreground.
	//
	// In arguments, the values of Env, Config, Files and CABundle, these are replaced:
	//
	//	{port}    the TCP port to listen on
	//	{addr}    the same with its address, 127.0.0.1:PORT
	//	{socket}  the path of the Unix socket to listen on, where Socket is set
	//	{config}  the path of the file that holds Config
	//	{dir}     the private directory of this start, mode 0700, in TempDir
	//
	// Any other word in braces is left alone, and {{port}} stands for {port} as it is
	// written. One that has nothing to stand for, such as {port} with Socket, is an
	// error. The directory is removed when the child is gone for good.
	Argv []string

	// Env holds "NAME=value" entries for the child. It gets these, a minimal base
	// (PATH, HOME, USER, LOGNAME, TMPDIR, LANG, LC_*, TZ, and what Windows needs)
	// unless an entry overrides it, SALLYPORT_PROXY_PORT with the port or
	// SALLYPORT_PROXY_SOCKET with the path of the socket, and SALLYPORT_PROXY_ID, a random mark by which its processes are recognised.
	// Nothing else of this process's environment is passed on, so neither its
	// secrets nor its proxy variables reach the child.
	Env []string

	// Dir is the child's working directory; "" means this process's own.
	Dir string

	// Port is the TCP port the child is to listen on; 0 picks a free one. A fixed
	// port that is taken is an error before anything is started.
	Port int

	// CABundle is the PEM file clients must trust because the proxy intercepts
	// TLS; "" when it does not. Where it is set, the child is not ready before
	// the file exists.
	CABundle string

	// StartTimeout limits the time from start to having refused the probe, for which
	// there is always a second. 0 means 5 s. A negative value means no limit but
	// the context's for listening, and 5 s for the probe.
	StartTimeout time.Duration

	// StopGrace is how long the child may take to end after the request to
	// terminate, before it is killed. 0 means 5 s, a negative value kills at once.
	StopGrace time.Duration

	// TempDir is where the private directory is made, and the child's TMPDIR unless
	// Env has one; "" means this process's TMPDIR. The path of a socket in it must
	// not become longer than 103 bytes.
	TempDir string

	// Config is the contents of a configuration file, "" for none. It is written
	// with mode 0600 into the private directory of the start; {config} is its path.
	Config string

	// Files are further files of the private directory: contents by slash-separated
	// relative name, mode 0600. {dir} is the directory.
	Files map[string]string

	// Unfiltered says that the proxy admits everything by design, because a filter
	// stands in front of it (see [Chain]). Otherwise Start returns only after the
	// proxy has refused Probe.
	Unfiltered bool

	// Probe is the host:port that a CONNECT must be refused for. "" means a name
	// below .invalid (RFC 6761 section 6.4), which no policy admits and nobody has.
	// A target of one's own should exist, so that only a refusal keeps it closed.
	Probe string

	// Socket says that the proxy listens on the Unix socket {socket} and not on
	// TCP. The handle then has no address but the socket's path.
	Socket bool

	// AllowExposed admits a proxy that listens beyond loopback, where every machine
	// of the network reaches it. Without it that is ErrExposed.
	AllowExposed bool

	// Restart says what to do when the running child ends by itself; nil never
	// starts it again: the handle fails.
	Restart *Restart

	// Unheld gives the port up just before the child is started. Only a program needs
	// it that does not set SO_REUSEADDR and does not say why it cannot listen
	// either; see [Spec.Start]. It has a meaning on Linux only.
	Unheld bool

	// Output, if non-nil, receives what the child writes to stdout and stderr. It
	// is never written to twice at a time. A Write that blocks loses output and never
	// holds up the child; after a Write fails nothing more is written.
	Output io.Writer

	// leftovers are files outside of {dir} that the program leaves when it is killed.
	// They are removed with the directory.
	leftovers []string

	// credentials guard an Unfiltered proxy; nil when nothing does. A pointer, so
	// that printing a Spec does not print them.
	credentials *credentials
}

// credentials are what a guarded proxy asks for (RFC 9110 section 11.7.1).
type credentials struct{ user, password string }

// Credentials returns what the proxy asks its clients for, "" and "" for nothing.
// Presets make them up for a proxy that is Unfiltered, so that nobody but the
// filter in front of it can use it.
func (s Spec) Credentials() (user, password string) {
	if s.credentials == nil {
		return "", ""
	}
	return s.credentials.user, s.credentials.password
}

// Restart says when a proxy that ended by itself is started again. The zero value
// has a use: up to 5 restarts in a row, after 100 ms at first and 10 s at most.
type Restart struct {
	// Backoff is the pause before the first restart. Each that follows is twice
	// as long. 0 means 100 ms, a negative value no pause.
	Backoff time.Duration
	// MaxBackoff bounds the pause. 0 means 10 s, or Backoff if that is longer.
	MaxBackoff time.Duration
	// Max is how many restarts in a row there may be, failed ones included; the one
	// beyond is the end of the handle. 0 means 5, a negative value no limit. A
	// proxy that has run for a minute, or for MaxBackoff if that is longer, begins
	// to count anew.
	Max int
}

// Start runs the proxy and returns when it can be trusted: it listens on a loopback
// address or on {socket} (on Linux: a process of the child's own tree does), and it
// has refused a CONNECT to Probe, by a 4xx or by closing the connection. An Unfiltered
// proxy with credentials must have asked for them instead (407); one without is
// not asked anything. For a Probe that somebody has a 5xx is a refusal too; for a name
// or an address that nobody has it is not, and neither are 404, 408 and 410: they tell
// that the proxy tried. ctx limits the start and nothing afterwards. On error the
// child and its process group are killed and reaped, and nothing is left.
//
// On Linux the port is bound and not listened on from before the child is started
// until it listens, so that nobody else gets it. The child can bind it when it sets
// SO_REUSEADDR, as nearly every server does. One that does not finds the port in
// use: when it says so in its output it is ended and started once more without the
// hold; see Unheld for one that keeps silent.
//
// The handle's Close asks the child to terminate, kills its whole process group
// when StopGrace is over, and returns when all of it is gone. Shutdown does the
// same with its context in place of StopGrace. A child that ends by itself closes
// the handle's Done; Err is then an [*ExitError]. With Restart it is started again
// at the same place; until it is ready again everything attached to the handle is
// cut and nothing is relayed.
func (s Spec) Start(ctx context.Context) (*proxycore.Handle, error) {
	return s.start(ctx, systemClock)
}

func (s Spec) start(ctx context.Context, c clock) (*proxycore.Handle, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("external: %s was not started: %w", s.name(), context.Cause(ctx))
	}
	k, err := newKeeper(s, c)
	if err != nil {
		return nil, err
	}
	at, err := k.launch(ctx)
	if err != nil {
		return nil, errors.Join(err, k.cleanUp())
	}
	if s.Restart == nil {
		k.hold.release()
	}
	h, fail := proxycore.NewHandle(proxycore.HandleConfig{
		Addr:     at.addr,
		Socket:   at.socket,
		CABundle: k.bundle,
		Dial:     k.dial,
		Ready:    k.ready,
		Shutdown: k.shutdown,
		Close:    k.close,
	})
	go k.watch(fail)
	return h, nil
}

// validate finds what can be told without starting anything.
func (s Spec) validate() error {
	switch {
	case len(s.Argv) == 0 || s.Argv[0] == "":
		return fmt.Errorf("external: %w: Argv names no command; put the proxy program first", ErrInvalidSpec)
	case s.Port < 0 || s.Port > 65535:
		return fmt.Errorf("external: %w: port %d is outside 0 to 65535; use 0 to have one chosen", ErrInvalidSpec, s.Port)
	case s.Socket && s.Port != 0:
		return fmt.Errorf("external: %w: Port %d and Socket exclude each other; leave one out", ErrInvalidSpec, s.Port)
	}
	for _, entry := range s.Env {
		name, _, ok := strings.Cut(entry, "=")
		if !ok || name == "" || strings.ContainsRune(entry, 0) {
			// The value is not shown: it may be a secret.
			return fmt.Errorf("external: %w: environment entry %q is not of the form NAME=value", ErrInvalidSpec, name)
		}
	}
	for _, check := range []func() error{s.checkPlaceholders, s.checkFiles, func() error { return checkProbe(s.Probe) }} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// name is how the program is called in errors.
func (s Spec) name() string { return filepath.Base(s.Argv[0]) }

// argv returns the arguments with the placeholders filled in.
func (s Spec) argv(at place) []string {
	fill := at.replacer()
	out := make([]string, len(s.Argv))
	for i, arg := range s.Argv {
		out[i] = fill.Replace(arg)
	}
	return out
}

// orDefault reads a duration field: zero means def.
func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
