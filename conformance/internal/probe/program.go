// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Argument makes a binary that imports this package behave as the probe when it is its first argument.
const Argument = "egress-conformance-probe"

// Operations, the second argument.
const (
	OpPipe   = "pipe"   // a connection to the proxy over standard input and output, see Pipe
	OpReport = "report" // the third argument is a []Action in JSON; a Report comes back on standard output
	OpLater  = "later"  // as report, but once standard input has ended; says "ready" on standard error before
	OpExit   = "exit"   // exits with the status of the third argument
	OpSignal = "signal" // kills itself with the signal number of the third argument
	OpLinger = "linger" // starts a child in a session of its own that keeps standard output open, then exits
	OpHold   = "hold"   // writes a line and waits for its death, whatever becomes of standard input
	OpServe  = "serve"  // listens wherever it can, see Served; the third argument is a directory
	OpVictim = "victim" // is what others try to get at, see Victim; the third argument is its secret
	OpFamily = "family" // starts a child as linger does, then holds
	OpCopy   = "copy"   // copies standard input to standard output
)

func init() {
	if len(os.Args) < 3 || os.Args[1] != Argument {
		return
	}
	go endUnread()
	os.Exit(run(os.Args[2], os.Args[3:]))
}

func run(op string, args []string) int {
	arg := ""
	if len(args) > 0 {
		arg = args[0]
	}
	number, _ := strconv.Atoi(arg)
	var err error
	switch op {
	case OpPipe:
		err = servePipe(os.Stdin, os.Stdout)
	case OpDirect:
		err = serveDirect(arg)
	case OpTalk:
		err = talk(os.Stdin, os.Stdout)
	case OpReport:
		err = report(arg)
	case OpLater:
		fmt.Fprintln(os.Stderr, "ready")
		io.Copy(io.Discard, os.Stdin)
		err = report(arg)
	case OpExit:
		return number
	case OpSignal:
		err = killSelf(number)
	case OpLinger:
		err = linger()
	case OpHold:
		fmt.Println("holding")
		if arg == tell {
			os.NewFile(3, "the one who waits").Close()
		}
		block()
	case OpServe:
		err = serveOthers(arg)
	case OpVictim:
		err = beVictim(arg)
	case OpFamily:
		if err = linger(); err == nil {
			fmt.Println("holding")
			block()
		}
	case OpCopy:
		_, err = io.Copy(os.Stdout, os.Stdin)
	default:
		err = fmt.Errorf("unknown operation %q", op)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance: probe:", err)
		return 99
	}
	return 0
}

// block waits far longer than any check does. It ends in the end, because there are sandboxes at fault that leave
// their processes behind, and some of them lose standard output, see endUnread.
func block() { <-time.After(time.Minute) }

// tell is the argument of a hold that closes descriptor 3 once it holds.
const tell = "tell"

// linger leaves a child behind that ignores the end of everything but itself, once it runs.
func linger() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(self, Argument, OpHold, tell)
	cmd.Stdout, cmd.ExtraFiles = os.Stdout, []*os.File{w}
	detach(cmd)
	err = errors.Join(cmd.Start(), w.Close())
	io.Copy(io.Discard, r)
	return err
}

// Action is one thing the probe tries inside the sandbox.
type Action struct {
	// Do is "dial", "send", "lookup", "proxy", "raw", "configure", "unshare", or one of doors_linux.go and
	// transparent.go.
	Do string `json:"do"`
	// Network and Address are for dial and send; Address is the name for lookup, the target for proxy.
	Network string `json:"network,omitempty"`
	Address string `json:"address,omitempty"`
	// Ask is the question of query, whose Address is a resolver's; All are what together does at the same time.
	Ask *Ask     `json:"ask,omitempty"`
	All []Action `json:"all,omitempty"`
	// Timeout bounds the attempt, in milliseconds.
	Timeout int `json:"timeout"`
	// Text is what the witness outside is to receive, or what only it can have told.
	Text string `json:"text,omitempty"`
	// Apart: the attempt may end the process that makes it, and is made by a child.
	Apart bool `json:"apart,omitempty"`
	// Inner is for unshare: what is tried in the new namespaces, "" for dial.
	Inner string `json:"inner,omitempty"`
}

// Result is what came of an action.
type Result struct {
	Action Action `json:"action"`
	// Done says that it worked: connected, sent, resolved, permitted.
	Done bool `json:"done"`
	// Status is the proxy's answer to the action proxy.
	Status int `json:"status,omitempty"`
	// End is how carry, listen, datagram and query ended; Said what carry and listen received, from At.
	End  string `json:"end,omitempty"`
	Said string `json:"said,omitempty"`
	At   string `json:"at,omitempty"`
	// Reply is the answer to query, All are the results of together.
	Reply *Reply   `json:"reply,omitempty"`
	All   []Result `json:"all,omitempty"`
	// Detail is for people only.
	Detail string `json:"detail,omitempty"`
	// Millis is how long it took.
	Millis int64 `json:"millis"`
}

// Report is what the probe found inside the sandbox.
type Report struct {
	Env []string `json:"env"`
	// Descriptors are the open ones above 2, with what they lead to.
	Descriptors []string `json:"descriptors"`
	// Capabilities are the sets that are not empty, as "CapEff=…".
	Capabilities []string `json:"capabilities"`
	NoNewPrivs   bool     `json:"noNewPrivs"`
	// Interfaces are the network interfaces apart from loopback.
	Interfaces []string `json:"interfaces"`
	// Processes are the command lines of the visible processes, arguments separated by spaces.
	Processes []string `json:"processes"`
	Results   []Result `json:"results"`
}

func report(arg string) error {
	var actions []Action
	if err := json.Unmarshal([]byte(arg), &actions); err != nil {
		return err
	}
	r := Report{Env: os.Environ(), Descriptors: inherited}
	look(&r)
	ifs, _ := net.Interfaces()
	for _, i := range ifs {
		if i.Flags&net.FlagLoopback == 0 {
			r.Interfaces = append(r.Interfaces, i.Name)
		}
	}
	for len(actions) > 0 {
		n := 1
		for n < len(actions) && actions[0].Apart && actions[n].Apart {
			n++
		}
		r.Results = append(r.Results, results(actions[:n])...)
		actions = actions[n:]
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// results tries actions that are all to be apart, or just one that is not.
func results(actions []Action) []Result {
	if actions[0].Apart {
		return apart(actions)
	}
	begin := time.Now()
	res := act(actions[0])
	res.Action, res.Millis = actions[0], time.Since(begin).Milliseconds()
	return []Result{res}
}

// ProxyFromEnv returns the address of the proxy the environment names, and the value of the field
// Proxy-Authorization that every client sends to a proxy URL with a user in it (RFC 7617); "" without one.
func ProxyFromEnv(env func(string) string) (addr, authorization string, err error) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		text := env(name)
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return "", "", fmt.Errorf("%s=%q is no proxy URL", name, text)
		}
		if u.User != nil {
			password, _ := u.User.Password()
			authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
		}
		return u.Host, authorization, nil
	}
	return "", "", errors.New("neither HTTPS_PROXY nor https_proxy is set")
}

// CommandLine is the content of /proc/PID/cmdline in one line.
func CommandLine(b []byte) string {
	return strings.Join(strings.Split(strings.TrimRight(string(b), "\x00"), "\x00"), " ")
}
