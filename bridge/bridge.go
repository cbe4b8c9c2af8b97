// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"os"
	"os/exec"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Mode says how a sandbox is made.
type Mode string

const (
	// Auto picks Bwrap where it is installed and works, else UserNS where
	// that works, else an error; it never picks "no sandbox". The zero
	// value of Mode means Auto.
	Auto Mode = "auto"
	// Bwrap runs the command under bubblewrap (https://github.com/containers/bubblewrap).
	Bwrap Mode = "bwrap"
	// UserNS makes the namespaces itself and needs nothing installed.
	UserNS Mode = "userns"
)

// Exit statuses of a sandboxed command besides its own and 128+n for a
// command that died of signal n. They are those of env(1) and chroot(1).
const (
	// ExitFailed means that Sallyport itself could not set the sandbox up.
	ExitFailed = 125
	// ExitCannotRun means that the command was found but could not be run.
	ExitCannotRun = 126
	// ExitNotFound means that the command was not found.
	ExitNotFound = 127
)

// Sandbox describes a sandbox without a network, in which 127.0.0.1 leads to
// a proxy and nowhere else. The zero value is ready to use: mode [Auto], an
// ephemeral port, the proxy's own filter and limits, no terminal.
type Sandbox struct {
	// Mode is how the sandbox is made; "" is Auto.
	Mode Mode
	// BwrapArgs are further file-system options for bwrap, such as
	// "--ro-bind", "/usr", "/usr". Anything that is not about the file system
	// is an error, and so are arguments when the mode is UserNS. Under Auto
	// they make Bwrap the only choice. A mount onto / replaces the bind
	// of the host's file system that is there otherwise. Where they take the working
	// directory away, "--chdir", DIR must say where to run instead.
	BwrapArgs []string
	// Hide are absolute paths of files, sockets and directories that the sandbox
	// must not see, such as the socket of a proxy that would let it out. A directory
	// is covered by an empty one, anything else by the null device, wherever a bind of
	// the whole file system or of BwrapArgs brings it in. One that is not there is an
	// error: it could appear later. What has a second name (a hard link, a mount, an
	// overlay) is in sight under that, and a file that the host replaces by a new one
	// of the same name is in sight again: where that can happen, hide its directory.
	Hide []string
	// Name attributes the sandbox's connections in the decision log;
	// "" lets the proxy choose.
	Name string
	// Port is the port the proxy has on 127.0.0.1 inside the sandbox;
	// 0 lets the kernel choose, negative is an error.
	Port int
	// Filter is this sandbox's policy; nil is the proxy's own. NO_PROXY is
	// empty in the sandbox if the policy admits a loopback address, which clients then
	// ask the proxy for. The policy of a proxy that is not built in and has no TCP listener
	// is known here only if it is given as Filter.
	Filter *proxycore.Filter
	// MaxConns bounds the connections of this sandbox served at once, so that it
	// cannot take those of all others that share the proxy; one more is answered 503.
	// Zero means no bound of its own, only the proxy's; negative is an error. A
	// proxy that cannot do this, which is every one that is not built in,
	// makes the command end with ExitFailed, as it does for Filter.
	MaxConns int
	// Transparent brings to the proxy also what programs connect to without asking
	// it: every address leads to the proxy on all TCP ports, and port 53 of every address to
	// the proxy's own name server, which knows the names that the policy admits. What the
	// policy refuses is reset at once; UDP to other ports fails at once. The proxy variables
	// are set all the same.
	//
	// Loopback addresses stay the sandbox's own, but for ports that the policy admits
	// there when Command is called. Programs in the sandbox can listen on every port from 1024 on.
	//
	// Where the kernel cannot redirect (it takes nf_tables with nft_redir), only the ports are
	// captured that the policy names when Command is called, which may be 64. Programs
	// inside cannot listen on those, and for them the loopback leads to the proxy, too. Any other
	// port is refused without a record.
	//
	// The policy must be known, as Filter or because the proxy is built in
	// ([proxycore.Handle.Filter]); otherwise it is an error of Command.
	Transparent bool
	// Weaker are doors to leave open. All the others are shut, and one that cannot
	// be shut on this kernel is an error of Command. See Doors and Explain.
	Weaker []Door
	// HostSockets are absolute paths of sockets of the host that stay in sight, such as
	// that of an ssh-agent, although DoorHostServices is shut. To be able to connect
	// to them the sandbox gets DoorUnixSockets open.
	HostSockets []string
	// Terminal makes the command's standard input, which must be a terminal
	// that is nobody's yet (the far end of a new pty), the controlling
	// terminal of its session. Session.Run does the near end.
	Terminal bool

	listen bool // for tests: wish.Listen
}

// Command returns a command that, when run, runs name inside the sandbox with
// h as its only way out. The caller may set Env, Dir, Stdin, Stdout and Stderr
// as on any other exec.Cmd, append to Args, and use Run, Start and Wait; it must not
// change Path, SysProcAttr or Cancel. ExtraFiles do not reach the command. A
// command that is not started costs a descriptor until ctx ends, h is closed, or the
// command is garbage.
//
// The command sees Env (or this process's environment when Env is nil) with the proxy
// variables set over it. Its exit status is what Wait reports: its own,
// 128+n when it died of signal n, ExitFailed, ExitCannotRun or ExitNotFound.
// Signals sent to Cmd.Process reach the command; when ctx ends, or this
// process dies however it dies, everything in the sandbox is killed. Once Wait has
// returned nothing that ran in the sandbox is left; only after Cmd.Process.Kill, which
// gives nobody the time to see to that, it may take a moment more.
//
// That bwrap is not installed, or that Probe has found the mode not to work, is an error of Command. Anything
// else that keeps a mode from working shows when the command is run, as the sandbox itself is the trial: Stderr
// has one line with the cause and the remedy, and the status is ExitFailed. Under Auto the second mode is tried
// first, if the first made no sandbox in which the command could have been started.
//
// The sandbox's listener is detached from h when the sandbox ends; Command does
// not close h, and closing h only takes the network away. The program
// must have called Init first.
func (s Sandbox) Command(ctx context.Context, h *proxycore.Handle, name string, arg ...string) (*exec.Cmd, error) {
	return s.command(ctx, h, name, arg)
}

// Init must be called first thing in main (and in TestMain), before flags are
// parsed and goroutines started. In a process that Sandbox.Command started to
// set up a sandbox it does that and never returns; in any other it does nothing.
func Init() { runRole() }

// Probe finds out, by really making a sandbox, whether mode m works here, and
// returns it; for Auto it returns the mode that Auto stands for. The error
// names the cause and the remedy. The result is kept for the life of the process, and Command goes by it:
// a program that starts many sandboxes and wants to know beforehand asks once.
func Probe(ctx context.Context, m Mode) (Mode, error) { return probe(ctx, m) }

// Session runs a command from Sandbox.Command for a command-line program: it
// passes signals on, and puts a pty between the real terminal and the sandbox.
type Session struct {
	// Stdin, Stdout and Stderr are the command's; nil is the null device.
	// Each of them that is a terminal is replaced by a new pty when Terminal
	// is set. When it is not, because Stdin is no terminal, a Stdout or Stderr
	// that is one is the real one, which the command can write to and read
	// from, but not make its controlling terminal.
	Stdin, Stdout, Stderr *os.File
	// Terminal must be what Sandbox.Terminal was. WantsTerminal says what both should be.
	Terminal bool
	// Signals, if non-nil, are passed on to the command (SIGWINCH, too,
	// which also updates the size of the pty). Feed it from signal.Notify
	// with ForwardedSignals; SIGCHLD, SIGURG and SIGPIPE are ignored.
	Signals <-chan os.Signal
}

// Run starts cmd, waits for it and returns its exit status; see Sandbox.Command
// for the statuses. The error is non-nil, and the status ExitFailed, when cmd could
// not be started or waited for. The real terminal is in its old mode again when
// Run returns, whatever happened; when it hangs up, so does the pty. Run returns no error for a status other than 0.
func (s Session) Run(cmd *exec.Cmd) (status int, err error) { return s.run(cmd) }

// WantsTerminal reports whether stdin is a terminal in whose foreground this
// process is, which is when Sandbox.Terminal and Session.Terminal should be set.
func WantsTerminal(stdin *os.File) bool { return wantsTerminal(stdin) }

// ForwardedSignals returns the signals worth passing to signal.Notify for
// Session.Signals.
func ForwardedSignals() []os.Signal { return forwardedSignals() }

// Socket is the socket bridge: a Unix socket on the host that leads to a
// proxy, for a sandbox that can only mount a file. The zero value makes a
// socket in a fresh directory that only this user can enter.
type Socket struct {
	// Path is where the socket is made. Its directory must exist, belong to
	// this user or to root, and not be writable by others unless it is
	// sticky. A dead socket of ours there is replaced; anything else is an error
	// and is left alone. "" makes a fresh directory of mode 0700 with an
	// unpredictable name under XDG_RUNTIME_DIR, TMPDIR or /tmp, and
	// removes it with the socket.
	Path string
	// AllowUIDs are the user ids, besides this process's own, that may
	// connect. Root is not admitted unless it is listed or our own: what
	// is not written down is refused. They must also be able to reach a socket of mode 0600.
	AllowUIDs []uint32
	// BestEffort, if non-nil, is called with the reason when no socket could be
	// made, and Start then returns h as it was, without a socket path.
	BestEffort func(error)
}

// Start makes the socket and serves it through h, in addition to whatever h
// listens on. The handle it returns has the socket path and owns h: closing
// it closes h, and when Close returns the socket is gone. Shutdown removes the socket
// first, before it waits for tunnels to end. Start returns
// when the socket accepts connections. Start fails closed: on an error h is
// closed, too. ctx limits only the start.
func (s Socket) Start(ctx context.Context, h *proxycore.Handle) (*proxycore.Handle, error) {
	return s.start(ctx, h)
}
