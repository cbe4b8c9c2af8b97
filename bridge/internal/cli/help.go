// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"
)

// overview is what sallyport says by itself.
func overview() string {
	var b strings.Builder
	b.WriteString("sallyport lets a command reach the hosts on a list and nothing else.\n\nUsage:\n")
	for _, c := range subcommands() {
		fmt.Fprintf(&b, "  sallyport %-8s %s\n", c.name, c.line)
	}
	b.WriteString(`  sallyport help     print this, or the help of a subcommand

Example:
  sallyport run --allow example.com -- curl -sS https://example.com

Try 'sallyport help run'.
`)
	return b.String()
}

// patternHelp explains the patterns, for every subcommand with a policy.
const patternHelp = `Patterns (quote them: a shell expands *):
  github.com             this name, ports 443 and 80
  '*.github.com'         exactly one label below it, not the name itself
  '**.github.com'        any number of labels below it, not the name itself
  github.com:22          this port only; also a range, :8000-8100, or every port, ':*'
  203.0.113.7            this address, when it is asked for as such
  10.0.0.0/8:5432        these addresses; also needed where a name resolves to a
                         private address
  '*'                    every name; private addresses stay guarded
  localhost:8080         the host's own loopback, not the sandbox's
Deny wins over allow. What nothing allows is denied.
`

// throughHelp explains the ways through another proxy, for run and proxy.
const throughHelp = `Another proxy (the filter always comes first: of what is denied no other proxy hears):
  --upstream http://proxy.example.com:3128   through a proxy of your network; if it is
                         down or refuses, the answer is 502 and never a direct connection
  --upstream env         the same, from HTTPS_PROXY, ALL_PROXY and NO_PROXY as they are
                         here; without it they are not read
  --external mitmdump    through a proxy that is started for this, with the settings it needs
  --external-cmd 'myproxy --listen 127.0.0.1:{port}'
                         the same with any program; {socket}, {addr} and {dir} work, too
  --external-addr 127.0.0.1:8888
                         through a proxy that runs already
An upstream that is given twice, or differently by a policy file, is an error. When the
external proxy ends, there is no network any more.
`

const runHelp = `sallyport run runs a command that reaches the allowed hosts and nothing else.

Usage:
  sallyport run [options] [--] COMMAND [ARGUMENT...]

The command runs in a network namespace of its own, in which nothing but
Sallyport's proxy can be reached; HTTPS_PROXY and its relatives point there. It
sees the same files as the caller and runs in the same directory. Options end at the
first word that is none.

Doors besides the network are shut, too: Unix sockets, the host's service sockets (Docker,
ssh-agent, D-Bus, ...) and the variables that lead to them, other socket families, io_uring
and more. --explain lists them, and how each is shut here. One that cannot be shut is an error.
  --allow-weaker DOOR    leave it open
  --host-socket PATH     let the command use this socket of the host

Programs that ignore HTTPS_PROXY do not get out. With --transparent they do, to the same
hosts: every address leads to the proxy, on every TCP port where the kernel can redirect and
else on those that the policy names, and names are answered by the proxy's own name
server. What the policy does not allow is refused at once.

Options:
%FLAGS%

` + patternHelp + `
` + throughHelp + `The command sees neither the upstream's credentials (the file, the variable, HTTPS_PROXY
of this environment) nor the sockets and files of the other proxy. With --sandbox none
it does see files. A password in the URL is seen by all who may list processes here.

Exit status:
  that of the command; 128+N if signal N ended it; 125 if sallyport itself
  failed (while the command ran, too, if that ended with 0); 126 if the command
  cannot be run; 127 if it cannot be found. With --explain and no command: 0 if all
  that is to be shut is, else 1.

Examples:
  sallyport run --allow example.com -- curl -sS https://example.com
  sallyport run --allow github.com --allow '*.githubusercontent.com' -- git clone https://github.com/a/b
  sallyport run --dev --deny '**.example.com' --log decisions.jsonl -- make test
  sallyport run --policy policy.yaml -- sh -c 'npm ci && npm test'
  sallyport run --transparent --allow github.com:22 -- git clone ssh://git@github.com/a/b
  sallyport run --host-socket "$SSH_AUTH_SOCK" --allow github.com:22 -- ssh -T git@github.com
  sallyport run --explain
  sallyport run --allow example.com --external mitmdump --external-flows flows -- curl -sS https://example.com
  sallyport run --dev --upstream http://proxy.example.com:3128 --upstream-credentials env:LOGIN -- make
`

const proxyHelp = `sallyport proxy runs the proxy alone, for a sandbox that something else makes.

Usage:
  sallyport proxy [options]

When it is ready it prints one line on standard output, such as
  {"addr":"127.0.0.1:41234","port":41234,"socket":"","ca_bundle":""}
where ca_bundle is the PEM file that clients must trust if another proxy opens TLS.
Messages go to standard error. SIGTERM or SIGINT lets live tunnels finish, a second
one cuts them. SIGHUP reads the policy files again: if they are not valid, or change
resolve or upstream, the old policy stays; tunnels that the new one does not allow
are cut.

The proxy enforces its policy on what is sent through it. That a program cannot
go round it is up to the sandbox the program runs in. A container without a network
(docker run --network none) is such a sandbox: mount the directory of a control socket into
it and run 'sallyport attach' there. Its connections are NAME-1, NAME-2, ... in the log, NAME
being the base name of the socket without .sock.

Options:
%FLAGS%

` + patternHelp + `
` + throughHelp + `
Exit status:
  0 if a signal ended it; 1 if it could not start or died; 2 if the command
  line or the policy is not valid.

Examples:
  sallyport proxy --allow example.com --listen 127.0.0.1:8080
  sallyport proxy --policy policy.yaml --listen none --socket /run/sandbox/proxy.sock
  sallyport proxy --listen none --control /run/a/a.sock=a.yaml --control /run/b/b.sock=b.yaml
`

const attachHelp = `sallyport attach runs a command inside a container that has no network, with a proxy
outside that it reaches by a control socket.

Usage:
  sallyport attach --socket PATH [options] [--] COMMAND [ARGUMENT...]

The socket is made outside by 'sallyport proxy --control PATH', which has the policy, and
mounted into the container. attach opens sockets here, hands them to the proxy, shuts the
same doors as sallyport run as far as that takes no mounts, drops every capability, and runs the
command. As process 1 of the container it passes signals on and collects processes. The binary
is static when built with CGO_ENABLED=0; nothing else is needed in the container but /proc.

If there is another network (an interface that is up and no loopback) it is an error, as
the command could use it. Where something else keeps it from that, such as a Kubernetes
NetworkPolicy, --allow-weaker network says so.

Options:
%FLAGS%

Exit status:
  as that of sallyport run.

Examples:
  docker run --network none -v /run/a:/run/sallyport:ro -v "$PWD/sallyport":/sallyport:ro IMAGE \
      /sallyport attach --socket /run/sallyport/a.sock -- curl -sS https://example.com
  bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev --as-pid-1 --die-with-parent -- \
      sallyport attach --socket /run/a/a.sock -- curl -sS https://example.com
`

const checkHelp = `sallyport check says what a policy allows, without sending anything.

Usage:
  sallyport check [options] [TARGET...]

A target is what a client asks the proxy for: HOST:PORT. For each, one line:
  allow|deny<TAB>TARGET<TAB>REASON<TAB>RULE
where REASON says why it is denied and RULE is the pattern that decided; either
is - if there is none. Names are not looked up: a name that is allowed here is
still denied if it resolves to a private address that no pattern allows. An upstream
in a policy file must be valid and changes no decision: the filter comes first.
Without a target, only the policy is checked.

Options:
%FLAGS%

` + patternHelp + `
Exit status:
  0 if every target is allowed; 1 if one is denied; 2 if the policy or a target
  is not valid.

Examples:
  sallyport check --allow '*.github.com' api.github.com:443 github.com:443
  sallyport check --policy policy.yaml
  sallyport check --dev --json pkg.example.com:443
`

const versionHelp = `sallyport version prints the version, the commit it was built from where that is
known, the Go toolchain and the system.

Usage:
  sallyport version
%FLAGS%`
