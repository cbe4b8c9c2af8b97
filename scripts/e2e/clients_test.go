// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A client is a program that fetches greeted from a host over TLS.
type client struct {
	name  string
	argv  func(t *testing.T, host string) []string
	env   func(host string) []string
	blind func(t *testing.T) bool // it does not know proxy variables, and so gets nowhere
	says  string                  // what its message about a refusal must match; "": no matter
}

var clients = []client{
	{name: "curl", says: "403", argv: func(t *testing.T, host string) []string {
		return []string{lookPath(t, "curl"), "-sS", "https://" + host + "/"}
	}},
	{name: "wget", says: "Forbidden", argv: func(t *testing.T, host string) []string {
		return []string{lookPath(t, "wget"), "-nv", "-t", "1", "-O", "-", "https://" + host + "/"}
	}},
	{name: "git", says: "403", argv: func(t *testing.T, host string) []string {
		lookPath(t, "git")
		return []string{"sh", "-c", `rm -rf clone && git clone -q "$1" clone && cat clone/greeting`, "sh", "https://" + host + "/repo.git"}
	}},
	{name: "python", says: "403", argv: func(t *testing.T, host string) []string {
		const program = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=20).read().decode())"
		return []string{systemPython(t), "-c", program, "https://" + host + "/"}
	}},
	{name: "go", says: "Forbidden|403", argv: func(t *testing.T, host string) []string {
		lookPath(t, "go")
		return []string{"sh", "-c", `go mod download -modcacherw example.test/greeting@v1.0.0 && cat "$GOMODCACHE"/example.test/greeting@v1.0.0/greeting`}
	}, env: func(host string) []string {
		return []string{"GOPROXY=https://" + host + "/goproxy", "GOSUMDB=off", "GOWORK=off", "GOTOOLCHAIN=local", "GOFLAGS=-modcacherw"}
	}},
	{name: "node", blind: nodeIsBlind, argv: func(t *testing.T, host string) []string {
		const program = "fetch(process.argv[1]).then(r => r.text()).then(t => process.stdout.write(t)).catch(e => { console.error(e); process.exit(1) })"
		return []string{lookPath(t, "node"), "-e", program, "https://" + host + "/"}
	}},
}

// systemPython prefers the distribution's Python: one from elsewhere has certificates of its own.
func systemPython(t *testing.T) string {
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		return "/usr/bin/python3"
	}
	return lookPath(t, "python3")
}

var nodeVersion = regexp.MustCompile(`^v(\d+)\.(\d+)`)

// nodeIsBlind reports whether this Node ignores NODE_USE_ENV_PROXY, which came with 24.0 and 22.21.
func nodeIsBlind(t *testing.T) bool {
	out, err := exec.Command(lookPath(t, "node"), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	m := nodeVersion.FindStringSubmatch(string(out))
	if m == nil {
		t.Fatalf("node --version prints %q", out)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	blind := major < 22 || major == 22 && minor < 21 || major == 23
	t.Logf("Node %s: honours NODE_USE_ENV_PROXY: %t", strings.TrimSpace(string(out)), !blind)
	return blind
}

func TestClients(t *testing.T) {
	serveRepository(t)
	serveModule(t)
	for _, mode := range modes {
		for _, c := range clients {
			t.Run(mode+"/"+c.name, func(t *testing.T) {
				t.Run("allowed", func(t *testing.T) { c.allowed(t, mode) })
				t.Run("refused", func(t *testing.T) { c.refused(t, mode) })
			})
		}
	}
}

// allowed runs the client against the host on the list.
func (c client) allowed(t *testing.T, mode string) {
	b := c.bench(t, allowed)
	before := mark(t)
	log := filepath.Join(b.home, "log")
	argv := append([]string{"run", "--sandbox", mode, "--allow", allowed, "--log", log, "--"}, c.argv(t, allowed)...)
	r := b.run(t, argv...)
	if c.blind != nil && c.blind(t) {
		if r.status == 0 {
			t.Errorf("a client that ignores the proxy got through: %s", r)
		}
		nothingSince(t, before)
		return
	}
	if r.status != 0 || r.stdout != greeted {
		t.Fatalf("%s\nwant status 0 and %q", r, greeted)
	}
	connectedSince(t, before)
	for _, d := range decisions(t, log) {
		if d.Decision != "allow" || d.Host != allowed || d.Port != 443 || d.Rule != allowed || d.BytesDown == 0 {
			t.Errorf("decision = %+v, want an allowed tunnel to %s:443 by rule %q", d, allowed, allowed)
		}
	}
}

// refused runs it against a host that is not on the list, and that would answer.
func (c client) refused(t *testing.T, mode string) {
	b := c.bench(t, refused)
	before := mark(t)
	log := filepath.Join(b.home, "log")
	argv := append([]string{"run", "--sandbox", mode, "--allow", allowed, "--log", log, "--"}, c.argv(t, refused)...)
	r := b.run(t, argv...)
	if r.status == 0 || r.status == 125 {
		t.Errorf("%s\nwant the client's own failure", r)
	}
	if strings.Contains(r.stdout, greeted) {
		t.Errorf("the client reached %s: %s", refused, r)
	}
	nothingSince(t, before)
	if c.blind != nil && c.blind(t) {
		return
	}
	if ok, err := regexp.MatchString(c.says, r.stderr+r.stdout); err != nil || !ok {
		t.Errorf("%s\nwant a message that matches %q", r, c.says)
	}
	for _, d := range decisions(t, log) {
		if d.Decision != "deny" || d.Host != refused || d.Reason != "host_not_allowed" {
			t.Errorf("decision = %+v, want %s denied because of host_not_allowed", d, refused)
		}
	}
}

func (c client) bench(t *testing.T, host string) *bench {
	b := newBench(t)
	b.setenv("GOMODCACHE="+filepath.Join(b.home, "mod"), "GOPATH="+filepath.Join(b.home, "go"), "GOCACHE="+filepath.Join(b.home, "cache"))
	if c.env != nil {
		b.setenv(c.env(host)...)
	}
	return b
}

// decision is one line of --log, as far as the tests look at it.
type decision struct {
	Sandbox, Method, Host, Decision, Reason, Rule string
	Port                                          int
	BytesDown                                     int64 `json:"bytes_down"`
}

// decisions reads a log that must not be empty.
func decisions(t *testing.T, file string) []decision {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []decision
	for line := range bytes.Lines(text) {
		var d decision
		if err := json.Unmarshal(line, &d); err != nil {
			t.Fatalf("the log holds %q: %v", line, err)
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		t.Error("the decision log is empty")
	}
	return all
}

// serveRepository serves a git repository by git's own http-backend.
func serveRepository(t *testing.T) {
	t.Helper()
	git, root := lookPath(t, "git"), repository(t)
	site.Handle("/repo.git/", &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{
		"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + root, "GIT_CONFIG_NOSYSTEM=1"}})
}

// repository makes repo.git, in which the file greeting is, and returns the directory that holds it.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	script := `set -e
git init -q -b main work
printf '%s' "$1" > work/greeting
git -C work add greeting
git -C work -c user.name=e2e -c user.email=e2e@example.test commit -q -m greeting
git clone -q --bare work repo.git`
	c := exec.Command("sh", "-c", script, "sh", greeted)
	c.Dir = root
	c.Env = append(os.Environ(), "HOME="+root, "GIT_CONFIG_NOSYSTEM=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("making a repository: %v\n%s", err, out)
	}
	return root
}

// serveModule serves one Go module the way a module proxy does.
func serveModule(t *testing.T) {
	t.Helper()
	const module, version = "example.test/greeting", "v1.0.0"
	const gomod = "module " + module + "\n"
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	for name, text := range map[string]string{"go.mod": gomod, "greeting": greeted} {
		f, err := w.Create(module + "@" + version + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{".info": `{"Version":"` + version + `"}`, ".mod": gomod, ".zip": z.String()} {
		site.HandleFunc("/goproxy/"+module+"/@v/"+version+name, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) })
	}
}
