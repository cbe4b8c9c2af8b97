// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/fixtures"
)

// A stranger is a program that knows nothing of proxies, or is told to ignore them: as a shell script, of which $1 is the
// host, and which prints greeted.
type stranger struct {
	name, needs string // needs is a command that fails where the program is missing
	script      string
	port        int
	database    bool // it asks the private host, not the public one
}

const sshOptions = `-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR`

var strangers = []stranger{
	{name: "curl", needs: "curl --version", port: 443, script: `curl -sS --noproxy '*' "https://$1/"`},
	{name: "java", needs: "javac -version", port: 80, script: `java -XX:TieredStopAtLevel=1 -cp "$CLASSES" Fetch "http://$1/"`},
	{name: "ssh", needs: "ssh -V", port: 22, script: `ssh ` + sshOptions + ` "git@$1" greet`},
	{name: "git", needs: "git --version && ssh -V", port: 22,
		script: `GIT_SSH_COMMAND="ssh ` + sshOptions + `" git clone -q "ssh://git@$1/repo.git" "clone-$1" && cat "clone-$1/greeting"`},
	{name: "psql", needs: "psql --version", port: 5432, database: true,
		script: `PGCONNECT_TIMEOUT=20 PGSSLMODE=disable PGGSSENCMODE=disable psql -X -h "$1" -U u -d d -At -c greet`},
	{name: "redis-cli", needs: "redis-cli --version", port: 6379, database: true, script: `redis-cli -h "$1" get greeting`},
	{name: "static Go", needs: "true", port: 80, script: `"$GUEST" fetch "$1"`},
}

const directJava = `import java.net.*;
public class Fetch {
	public static void main(String[] args) throws Exception {
		var c = (HttpURLConnection) URI.create(args[0]).toURL().openConnection();
		try (var in = c.getInputStream()) { in.transferTo(System.out); }
	}
}`

// TestStrangers runs them in a transparent sandbox, against the host on the list and one that is not, which would answer,
// too.
func TestStrangers(t *testing.T) {
	serveStrangers(t)
	classes := compileJava(t)
	for _, mode := range modes {
		for _, s := range strangers {
			t.Run(mode+"/"+s.name, func(t *testing.T) { s.visit(t, mode, classes) })
		}
		t.Run(mode+"/dig", func(t *testing.T) { digs(t, mode) })
	}
}

// compileJava returns the directory of the class Fetch; where there is no compiler it is empty, and nobody will ask.
func compileJava(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "Fetch.java")
	if err := os.WriteFile(source, []byte(directJava), 0o600); err != nil {
		t.Fatal(err)
	}
	if javac, err := exec.LookPath("javac"); err == nil {
		if out, err := exec.Command(javac, "-d", dir, source).CombinedOutput(); err != nil {
			t.Errorf("javac: %v\n%s", err, out)
		}
	}
	return dir
}

// strangersPolicy admits what the strangers ask for; the private host by name and by address.
func strangersPolicy() []string {
	return []string{"--allow", allowed + "," + allowed + ":22," + database + ":5432," + database + ":6379",
		"--allow", hosts[database].String() + ":5432," + hosts[database].String() + ":6379"}
}

func (s stranger) visit(t *testing.T, mode, classes string) {
	b := newBench(t)
	if r := b.runWith(t, nil, "sh", "-c", s.needs); r.status != 0 {
		t.Skipf("it is not there (run scripts/setup as root): %s", r)
	}
	b.setenv("GUEST="+guest, "CLASSES="+classes)
	host, stranger := allowed, refused
	if s.database {
		host, stranger = database, "db."+refused
	}
	log := filepath.Join(b.home, "log")
	run := func(host string) result {
		args := append([]string{"run", "--transparent", "--sandbox", mode, "--log", log}, strangersPolicy()...)
		return b.run(t, append(args, "--", "sh", "-c", s.script, "sh", host)...)
	}
	before := mark(t)
	if r := run(host); r.status != 0 || strings.TrimSpace(r.stdout) != strings.TrimSpace(greeted) {
		t.Errorf("%s\nwant status 0 and %q", r, greeted)
	}
	connectedSince(t, before)
	for _, d := range decisions(t, log) {
		if d.Decision != "allow" || d.Method != "TCP" || d.Host != host || d.Port != s.port {
			t.Errorf("decision = %+v, want an allowed connection to %s:%d", d, host, s.port)
		}
	}
	before = mark(t)
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	if r := run(stranger); r.status == 0 || r.status == 125 || strings.Contains(r.stdout, strings.TrimSpace(greeted)) {
		t.Errorf("%s\nwant the program's own failure", r)
	}
	nothingSince(t, before)
	for _, d := range decisions(t, log) {
		if d.Decision != "deny" || d.Method != "DNS" || d.Host != stranger || d.Reason != "host_not_allowed" {
			t.Errorf("decision = %+v, want the question for %s denied because of host_not_allowed", d, stranger)
		}
	}
}

// digs asks name servers of its own choice, over both protocols.
func digs(t *testing.T, mode string) {
	lookPath(t, "dig")
	b := newBench(t)
	before := mark(t)
	dig := func(args string) string {
		t.Helper()
		argv := append([]string{"run", "--transparent", "--sandbox", mode}, strangersPolicy()...)
		r := b.run(t, append(argv, "--", "sh", "-c", "dig +time=5 +tries=1 "+args)...)
		if r.status != 0 {
			t.Errorf("dig %s: %s", args, r)
		}
		return r.stdout
	}
	pool := netip.MustParsePrefix("198.18.0.0/15")
	for _, args := range []string{"@9.9.9.9", "+tcp @10.0.0.1", "@2620:fe::fe"} {
		text := strings.TrimSpace(dig("+short " + args + " " + allowed))
		if a, err := netip.ParseAddr(text); err != nil || !pool.Contains(a) {
			t.Errorf("dig %s %s = %q, want an address in %s", args, allowed, text, pool)
		}
		if text := dig(args + " " + refused); !strings.Contains(text, "status: NXDOMAIN") || !strings.Contains(text, "EDE: 15") {
			t.Errorf("dig %s %s = %s\nwant NXDOMAIN, and that it was blocked", args, refused, text)
		}
	}
	nothingSince(t, before)
}

// serveStrangers puts the servers that are not web servers on both public and both private hosts.
func serveStrangers(t *testing.T) {
	t.Helper()
	ssh := sshServer(t)
	for name, addr := range hosts {
		services := map[uint16]fixtures.Behavior{22: ssh}
		if strings.HasPrefix(name, "db.") {
			services = map[uint16]fixtures.Behavior{5432: fixtures.BehaviorFunc(postgres), 6379: fixtures.BehaviorFunc(redis)}
		}
		for port, s := range services {
			o, err := world.Origin(netip.AddrPortFrom(addr, port), s)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { o.Close() })
		}
	}
}
