// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/fixtures"
)

// A visitor is a program that fetches greeted over TLS, as a shell script of which $1 is the host. None of them is
// told about a proxy or a certificate but by the environment.
type visitor struct {
	name, needs string // needs is a command that fails where the program is missing
	script      string
	path        string // what the proxy sees asked for
	says        string // in the message about a refusal
	shows       string // matches its standard error at the admitted host
}

var visitors = []visitor{
	{name: "curl", needs: "curl --version", script: `curl -sS -w "%{stderr}%{certs}" "https://$1/intercepted/curl/$1"`, says: "403", shows: "Issuer:.*mitmproxy"},
	{name: "git", needs: "git --version", path: "/intercepted.git/info/refs", says: "403",
		script: `git clone -q "https://$1/intercepted.git" "clone-$1" && cat "clone-$1/greeting"`},
	{name: "urllib", needs: "/usr/bin/python3 --version", says: "403", script: `/usr/bin/python3 -c '
import sys, urllib.request as r
sys.stdout.write(r.urlopen(sys.argv[1], timeout=20).read().decode())' "https://$1/intercepted/urllib/$1"`},
	{name: "requests", needs: "/usr/bin/python3 -c 'import requests'", says: "403", script: `/usr/bin/python3 -c '
import sys, requests
sys.stdout.write(requests.get(sys.argv[1], timeout=20).text)' "https://$1/intercepted/requests/$1"`},
	{name: "node", needs: "node --version", script: `node -e '` + nodeProgram + `' "https://$1/intercepted/node/$1"`, says: "403"},
	{name: "java", needs: "java --version", script: `java -Xshare:auto Fetch.java "https://$1/intercepted/java/$1"`, says: "403"},
}

// nodeProgram brings the agent that older Nodes lack: it asks the proxy for a tunnel and speaks TLS in it.
const nodeProgram = `
const http = require("http"), https = require("https"), tls = require("tls");
const proxy = new URL(process.env.HTTPS_PROXY), url = new URL(process.argv[1]);
const fail = why => { console.error(why); process.exit(1); };
class Agent extends https.Agent {
	createConnection(options, done) {
		const target = options.host + ":" + options.port;
		http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: target, headers: { Host: target } })
			.on("connect", (answer, socket) => answer.statusCode === 200
				? done(null, tls.connect({ socket, servername: options.host })) : fail("the proxy answers " + answer.statusCode))
			.on("error", fail).end();
	}
}
https.get(url, { agent: new Agent() }, answer => answer.pipe(process.stdout)).on("error", fail);`

// javaProgram reads the proxy from the environment, which Java does not.
const javaProgram = `import java.net.*;
public class Fetch {
	public static void main(String[] args) throws Exception {
		var proxy = URI.create(System.getenv("HTTPS_PROXY"));
		var way = new Proxy(Proxy.Type.HTTP, new InetSocketAddress(proxy.getHost(), proxy.getPort()));
		try (var in = URI.create(args[0]).toURL().openConnection(way).getInputStream()) { in.transferTo(System.out); }
	}
}`

// visitProgram runs the scripts of its arguments for the host that is admitted and the one that is not.
const visitProgram = `for name; do
	for host in ` + allowed + ` ` + refused + `; do
		sh "$name.sh" $host >"$name-$host.out" 2>"$name-$host.err"
		echo $? >"$name-$host.status"
	done
done`

// Real clients in the sandbox go through the filter, then through mitmdump, then to the origin: they trust mitmdump's
// certificates, it sees what they ask for, and what the policy refuses it never hears of.
func TestIntercept(t *testing.T) {
	lookPath(t, "mitmdump")
	serveIntercepted(t)
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Run("preset", func(t *testing.T) {
				b := newBench(t)
				visitAll(t, b, mode, func(log string) []string {
					return []string{"--external", "mitmdump", "--external-flows", log}
				}, filepath.Join(b.home, "conf of the reader"))
			})
			t.Run("command", func(t *testing.T) {
				b := newBench(t)
				conf := filepath.Join(b.home, "conf of mine")
				mitmproxyCA(t, b, conf)
				visitAll(t, b, mode, func(log string) []string {
					command := fmt.Sprintf("mitmdump -q --listen-host 127.0.0.1 --listen-port {port} --set 'confdir=%s' -w '%s'", conf, log)
					return []string{"--external-cmd", command, "--external-ca", filepath.Join(conf, "mitmproxy-ca-cert.pem")}
				}, conf)
			})
		})
	}
}

// visitAll runs every visitor in one sandbox. flags gives the options for a mitmdump that keeps its flows in a
// file; conf is the configuration directory of the one that reads them.
func visitAll(t *testing.T, b *bench, mode string, flags func(log string) []string, conf string) {
	present := prepare(t, b)
	before := mark(t)
	flows, log := filepath.Join(b.home, "flows"), filepath.Join(b.home, "log")
	args := append([]string{"run", "--sandbox", mode, "--allow", allowed, "--log", log}, flags(flows)...)
	args = append(args, "--", "sh", "-c", visitProgram, "sh")
	for _, v := range present {
		args = append(args, v.name)
	}
	if r := b.run(t, args...); r.status != 0 {
		t.Fatal(r)
	}
	onlyAllowedSince(t, before)
	for _, v := range present {
		t.Run(v.name, func(t *testing.T) { v.check(t, b) })
	}
	seen, err := exec.Command("mitmdump", "-n", "-r", flows, "--set", "confdir="+conf, "--showhost", "--flow-detail", "1").CombinedOutput()
	if err != nil {
		t.Fatalf("mitmdump's log: %v\n%s", err, seen)
	}
	checkFlows(t, present, string(seen))
	denied := 0
	for _, d := range decisions(t, log) {
		if (d.Host == allowed) != (d.Decision == "allow") || d.Host != allowed && d.Host != refused {
			t.Errorf("decision = %+v", d)
		}
		if d.Host == refused {
			denied++
		}
	}
	if denied < len(present) {
		t.Errorf("the log has %d refusals, want one for each of %d clients at least", denied, len(present))
	}
	if left := b.left(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	gone(t, b.marker)
}

// check looks at what a visitor got at both hosts.
func (v visitor) check(t *testing.T, b *bench) {
	r := b.visit(t, v.name, allowed)
	if r.status != 0 || r.stdout != greeted {
		t.Errorf("at %s: %s\nwant status 0 and %q", allowed, r, greeted)
	}
	if ok, err := regexp.MatchString(v.shows, r.stderr); err != nil || !ok {
		t.Errorf("at %s: %s\nwant %q on standard error", allowed, r, v.shows)
	}
	if r := b.visit(t, v.name, refused); r.status == 0 || strings.Contains(r.stdout, greeted) || !strings.Contains(r.stderr, v.says) {
		t.Errorf("at %s: %s\nwant its own failure, with %q in the message", refused, r, v.says)
	}
}

// checkFlows looks at what mitmdump saw: what every visitor asked for, and nothing of the refused host.
func checkFlows(t *testing.T, present []visitor, seen string) {
	t.Helper()
	for _, v := range present {
		path := v.path
		if path == "" {
			path = "/intercepted/" + v.name + "/" + allowed // in the path, since mitmdump is told an address instead of a name
		}
		if want := "GET https://" + allowed + path; !strings.Contains(seen, want) {
			t.Errorf("mitmdump did not see %s:\n%s", want, seen)
		}
	}
	if strings.Contains(seen, refused) || strings.Contains(seen, hosts[refused].String()) {
		t.Errorf("mitmdump heard of %s:\n%s", refused, seen)
	}
}

// prepare writes the visitors that there are to the directory the command runs in.
func prepare(t *testing.T, b *bench) (present []visitor) {
	t.Helper()
	files := map[string]string{"Fetch.java": javaProgram}
	for _, v := range visitors {
		if out, err := exec.Command("sh", "-c", v.needs).CombinedOutput(); err != nil {
			t.Run(v.name, func(t *testing.T) { t.Skipf("it is not there (run scripts/setup as root): %v\n%s", err, out) })
			continue
		}
		files[v.name+".sh"] = v.script
		present = append(present, v)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(b.home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return present
}

// visit is how a visitor ended at host.
func (b *bench) visit(t *testing.T, name, host string) (r result) {
	t.Helper()
	text := map[string]string{}
	for _, kind := range []string{"out", "err", "status"} {
		data, err := os.ReadFile(filepath.Join(b.home, name+"-"+host+"."+kind))
		if err != nil {
			t.Fatal(err)
		}
		text[kind] = string(data)
	}
	if _, err := fmt.Sscan(text["status"], &r.status); err != nil {
		t.Fatal(err)
	}
	r.stdout, r.stderr = text["out"], text["err"]
	return r
}

// onlyAllowedSince fails the test if since m anything but the admitted host was asked for or connected to, or if that was not.
func onlyAllowedSince(t *testing.T, m fixtures.Mark) {
	t.Helper()
	seen, err := world.Witness().Since(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(seen.Connections) == 0 {
		t.Error("no origin accepted a connection: what was it that answered?")
	}
	for _, q := range seen.Queries {
		if q.Name != allowed {
			t.Errorf("the name %s was looked up", q.Name)
		}
	}
	for _, p := range seen.Out() {
		if addr := hosts[allowed]; p.Src.Addr() != addr && p.Dst.Addr() != addr {
			t.Errorf("a packet went elsewhere: %s", p)
		}
	}
}

// serveIntercepted adds to the site what the visitors ask for, once.
func serveIntercepted(t *testing.T) {
	t.Helper()
	root := t.TempDir()
	c := exec.Command("sh", "-c", `set -e
git init -q -b main work
printf '%s' "$1" >work/greeting
git -C work add greeting
git -C work -c user.name=e2e -c user.email=e2e@example.test commit -q -m greeting
git clone -q --bare work intercepted.git`, "sh", greeted)
	c.Dir, c.Env = root, append(os.Environ(), "HOME="+root, "GIT_CONFIG_NOSYSTEM=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("making a repository: %v\n%s", err, out)
	}
	repository, err := fixtures.Git(root)
	if err != nil {
		t.Fatal(err)
	}
	site.Handle("/intercepted.git/", repository)
	site.HandleFunc("GET /intercepted/{client}/{host}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, greeted) })
}

// mitmproxyCA has mitmdump make its certificate authority, as its first start by hand does.
func mitmproxyCA(t *testing.T, b *bench, conf string) {
	t.Helper()
	r := b.runWith(t, nil, "mitmdump", "-q", "-n", "-r", os.DevNull, "--set", "confdir="+conf)
	names, _ := filepath.Glob(filepath.Join(conf, "*.pem"))
	if !slices.Contains(names, filepath.Join(conf, "mitmproxy-ca-cert.pem")) {
		t.Fatalf("mitmdump made %q: %s", names, r)
	}
}
