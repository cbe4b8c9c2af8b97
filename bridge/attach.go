// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import "context"

// AttachConfig says how this process, which something else has put where there is no
// network (a container, a bwrap of the user's own), reaches a proxy that has an [Admission].
type AttachConfig struct {
	// Socket is the path of the Admission's control socket.
	Socket string
	// Transparent is as in [Sandbox]. The Admission must offer it, and this process
	// must have CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE where ports below 1024 take that.
	Transparent bool
	// Weaker are doors that [Attachment.Exec] leaves open. It shuts the others of [Doors] as far
	// as that takes no mounts: the host's services are out of reach by DoorUnixSockets, and
	// what is mounted is up to whoever made the container. An unknown door is an error.
	Weaker []Door
	// OtherNetwork admits that there is another network: interfaces that are
	// up and are no loopback. Otherwise that is an error, because nothing here
	// keeps the command from using them; with it, whoever made that network must.
	OtherNetwork bool
}

// Attach opens sockets in this process's network namespace and hands them to the proxy
// whose Admission listens at c.Socket. When it returns, 127.0.0.1 leads to that proxy and,
// if c.Transparent, so does every other address. Nothing else changes, for this process or any
// other, and no door is shut: see [Attachment.Exec]. ctx limits only the start. Errors of the
// proxy say what to change there.
func Attach(ctx context.Context, c AttachConfig) (*Attachment, error) {
	in, err := c.attach(ctx)
	if err != nil {
		return nil, err
	}
	return &Attachment{in}, nil
}

// Attachment has a proxy serve this process's network namespace until Close, the end of
// this process, or the end of the proxy. Whoever called Attach closes it. Its methods may be
// called from any goroutine.
type Attachment struct{ in *attached }

// Port is the port that the proxy has on 127.0.0.1, never 0.
func (a *Attachment) Port() int { return a.in.port }

// Environ returns base, as os.Environ gives it, with the variables that lead a child process
// to the proxy; see [proxycore.Environ]. The CA bundle of a proxy that intercepts TLS is
// among them only if the file is in sight here, under the same path.
func (a *Attachment) Environ(base []string) []string { return a.in.environ(base) }

// Done is closed when the proxy does not serve this network namespace any more: its sockets
// are closed, and there is no network. After Close that takes the proxy a moment longer.
func (a *Attachment) Done() <-chan struct{} { return a.in.done }

// Close ends the attachment, and with it the network. It is idempotent.
func (a *Attachment) Close() error { return a.in.close() }

// Exec gives up every capability and the ways to gain one, shuts the doors, and replaces this
// program by one that runs argv with Environ(env), passes signals on to it, collects the
// processes it leaves behind, and ends with it, with the exit statuses of [Sandbox.Command].
// It is fit to be process 1 of a container without a shell. Where it is not process 1 it kills at the
// end the processes that argv has left behind. If standard input is the terminal of
// this session, the command gets its foreground.
//
// Exec returns only an error; by then this process may have lost its privileges, and can only
// end. The program must have called Init first.
func (a *Attachment) Exec(argv, env []string) error { return a.in.exec(argv, env) }
