// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/bridge"
	"github.com/sallyport-dev/sallyport/bridge/internal/policyfile"
)

// secret stands in every value that must not be shown.
const secret = "s3cret"

// TestOtherProxiesRefused: what is wrong with an option about another proxy is said before anything is
// started, by run and by proxy, and never with what the option holds.
func TestOtherProxiesRefused(t *testing.T) {
	t.Parallel()
	private := write(t, "credentials", "user:"+secret+"\n")
	open := write(t, "open", "user:"+secret+"\n")
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	policy := write(t, "p.yaml", "upstream: http://user:"+secret+"@proxy:3128\n")
	relative := write(t, "r.yaml", "upstream: {url: 'http://proxy:3128', credentials: file}\n")
	bad := write(t, "b.yaml", "upstream: {url: 'ftp://user:"+secret+"@proxy'}\n")
	const up = "http://proxy:3128"
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"upstream empty", []string{"--upstream", ""}, "--upstream has an empty value"},
		{"upstream without a value", []string{"--upstream"}, "flag needs an argument: --upstream"},
		{"upstream twice", []string{"--upstream", up, "--upstream", "http://u:" + secret + "@p"}, "--upstream is there 2 times"},
		{"credentials empty", []string{"--upstream", up, "--upstream-credentials="}, "--upstream-credentials has an empty value"},
		{"lookup empty", []string{"--upstream", up, "--upstream-lookup="}, "--upstream-lookup has an empty value"},
		{"external empty", []string{"--external="}, "--external has an empty value"},
		{"external command empty", []string{"--external-cmd="}, "--external-cmd has an empty value"},
		{"external command blank", []string{"--external-cmd=  "}, "--external-cmd names no command"},
		{"external command an empty word", []string{"--external-cmd='' x"}, "--external-cmd names no command"},
		{"external address empty", []string{"--external-addr="}, "--external-addr has an empty value"},
		{"external CA empty", []string{"--external-addr=127.0.0.1:1", "--external-ca="}, "--external-ca has an empty value"},
		{"external log empty", []string{"--external=squid", "--external-log="}, "--external-log has an empty value"},

		{"bad scheme", []string{"--upstream", "ftp://user:" + secret + "@proxy"}, "--upstream: "},
		{"no scheme", []string{"--upstream", "user:" + secret + "@proxy:3128"}, "--upstream: "},
		{"no host", []string{"--upstream", "http://user:" + secret + "@"}, "--upstream: "},
		{"bad escape", []string{"--upstream", "http://user:%zz" + secret + "@proxy"}, "--upstream: "},
		{"bad port", []string{"--upstream", "http://user:" + secret + "@proxy:99999"}, "--upstream: "},
		{"relative socket", []string{"--upstream", "unix://user:" + secret + "@run/proxy.sock"}, "--upstream: "},
		{"bad scheme in a policy", []string{"--policy", bad}, bad + ":1: "},
		{"single dash", []string{"-upstream=http://user:" + secret + "@proxy"}, "did you mean --upstream?"},
		{"unknown option", []string{"--upsteam=http://user:" + secret + "@proxy"}, "did you mean --upstream?"},

		{"credentials without an upstream", []string{"--upstream-credentials", private}, "--upstream-credentials needs --upstream"},
		{"credentials twice", []string{"--upstream", "http://user:" + secret + "@proxy", "--upstream-credentials", private}, "the upstream's URL holds credentials, and --upstream-credentials names others"},
		{"credentials and those of a policy", []string{"--policy", policy, "--upstream-credentials", private}, policy + ":1: the upstream's URL holds credentials"},
		{"credentials missing", []string{"--upstream", up, "--upstream-credentials", "/nonexistent/c"}, "/nonexistent/c: cannot be opened: no such file"},
		{"credentials open to others", []string{"--upstream", up, "--upstream-credentials", open}, "its mode is 0640, so others on this host may read the password; make it private with chmod 600"},
		{"credentials a directory", []string{"--upstream", up, "--upstream-credentials", filepath.Dir(private)}, "--upstream-credentials: "},
		{"credentials without a colon", []string{"--upstream", up, "--upstream-credentials", write(t, "c", secret)}, "not of the form user:password"},
		{"credentials without a user", []string{"--upstream", up, "--upstream-credentials", write(t, "c", ":"+secret)}, "not of the form user:password"},
		{"credentials of two lines", []string{"--upstream", up, "--upstream-credentials", write(t, "c", "u:"+secret+"\nv:"+secret)}, "control character"},
		{"credentials too large", []string{"--upstream", up, "--upstream-credentials", write(t, "c", "u:"+strings.Repeat(secret, 1000))}, "larger than 4096 bytes"},
		{"credentials of no variable", []string{"--upstream", up, "--upstream-credentials", "env:SALLYPORT_NOT_SET"}, "the variable SALLYPORT_NOT_SET is not set"},
		{"credentials of a variable without a name", []string{"--upstream", up, "--upstream-credentials", "env:"}, "write env:NAME"},
		{"credentials relative in a policy", []string{"--policy", relative}, relative + ":1: credentials is a relative path"},
		{"lookup", []string{"--upstream", up, "--upstream-lookup", "there"}, "--upstream-lookup: names are looked up here or upstream"},

		{"flag and policy", []string{"--policy", policy, "--upstream", up}, "--upstream and " + policy + ":1 name different upstreams"},
		{"two policies", []string{"--policy", policy, "--policy", bad}, "name different upstreams"},

		{"two external proxies", []string{"--external", "squid", "--external-cmd", "x " + secret}, "--external and --external-cmd each name a proxy"},
		{"three external proxies", []string{"--external", "squid", "--external-cmd", "x", "--external-addr", "127.0.0.1:1"}, "--external and --external-cmd and --external-addr each"},
		{"CA of a preset", []string{"--external", "mitmdump", "--external-ca", private}, "--external-ca means nothing with --external"},
		{"lookup for nothing", []string{"--upstream-lookup", "here"}, "--upstream-lookup needs --upstream"},
		{"CA of nothing", []string{"--external-ca", private}, "--external-ca needs --external"},
		{"CA of an upstream", []string{"--upstream", up, "--external-ca", private}, "--external-ca needs --external"},
		{"log of nothing", []string{"--external-log", "x"}, "--external-log needs --external or --external-cmd"},
		{"log of a proxy that runs", []string{"--external-addr", "127.0.0.1:1", "--external-log", "x"}, "--external-log means nothing with --external-addr"},
		{"log in no directory", []string{"--external-cmd", "true", "--external-log", "/nonexistent/x"}, "/nonexistent/x: cannot be opened for appending"},
		{"flows of squid", []string{"--external", "squid", "--external-flows", "x"}, "--external-flows needs --external mitmdump"},
		{"flows of nothing", []string{"--external-flows", "x"}, "--external-flows needs --external mitmdump"},
		{"flows empty", []string{"--external", "mitmdump", "--external-flows="}, "--external-flows has an empty value"},
		{"flows in no directory", []string{"--external", "mitmdump", "--external-flows", "/nonexistent/x"}, "/nonexistent/x: cannot be opened for appending"},
		{"preset", []string{"--external", "haproxy"}, "--external: "},
		{"upstream behind a command", []string{"--external-cmd", "x", "--upstream", up}, "this proxy has to be told of the upstream by its own configuration"},
		{"upstream behind a running proxy", []string{"--external-addr", "127.0.0.1:1", "--policy", policy}, "told of the upstream"},
		{"variables behind a preset", []string{"--external", "squid", "--upstream", "env"}, "can be told of one upstream"},
		{"command: quote", []string{"--external-cmd", "x '" + secret}, "a quote or a bracket is not closed"},
		{"command: pipe", []string{"--external-cmd", "x " + secret + "| y"}, "character 9 is one that only a shell understands"},
		{"command: redirection", []string{"--external-cmd", "x 2>" + secret}, "only a shell understands"},
		{"command: two places", []string{"--external-cmd", "x {port} {socket}"}, "at {socket} or at a port, not both"},
		{"address: URL", []string{"--external-addr", "http://u:" + secret + "@h:1"}, "--external-addr is not HOST:PORT"},
		{"address: no port", []string{"--external-addr", "u:" + secret + "@h"}, "--external-addr is not HOST:PORT"},
		{"address: credentials", []string{"--external-addr", secret + "@h:1"}, "--external-addr is not HOST:PORT"},
		{"address: port 0", []string{"--external-addr", "127.0.0.1:0"}, "--external-addr is not HOST:PORT"},
		{"address: relative socket", []string{"--external-addr", "unix://p.sock"}, "three slashes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			run := call(t, slices.Concat([]string{"run"}, tt.args, []string{"--", "true"})...)
			proxy := call(t, append([]string{"proxy"}, tt.args...)...)
			for _, r := range []result{run, proxy} {
				if !strings.Contains(r.stderr, tt.want) && tt.name != "upstream without a value" || r.stdout != "" {
					t.Errorf("got stdout %q and stderr %q, want %q in stderr alone", r.stdout, r.stderr, tt.want)
				}
				if strings.Contains(r.stderr, secret) {
					t.Errorf("got stderr %q, want it without %q", r.stderr, secret)
				}
			}
			if run.status != bridge.ExitFailed || proxy.status != exitUsage {
				t.Errorf("got status %d of run and %d of proxy, want 125 and 2", run.status, proxy.status)
			}
		})
	}
}

// TestSecretsInTheWrongPlace: a URL with a password that stands where none belongs is not shown either.
func TestSecretsInTheWrongPlace(t *testing.T) {
	t.Parallel()
	const url = "http://user:" + secret + "@proxy:3128"
	for _, args := range [][]string{
		{url}, {"--upstream=" + url, "run"}, {"run", "--sandbox", url, "true"}, {"run", "--allow", url, "true"},
		{"proxy", url}, {"proxy", "--listen", url}, {"proxy", "--resolve", url}, {"proxy", "--external", url}, {"help", url},
		{"run", "--summary=" + url, "true"}, {"proxy", "--policy", url}, {"version", url}, {"check", "--deny", url, "a.com:443"},
		{"check", "--upstream", url},
	} {
		if r := call(t, args...); r.status == 0 || strings.Contains(r.stdout+r.stderr, secret) {
			t.Errorf("%q: got status %d, stdout %q, stderr %q, want an error without the password", args, r.status, r.stdout, r.stderr)
		}
	}
}

// TestCheckWithUpstream: check judges that the key is valid, and answers as it does without.
func TestCheckWithUpstream(t *testing.T) {
	t.Parallel()
	for _, upstream := range []string{"env", "'https://user:" + secret + "@proxy'", "{url: 'unix:///nonexistent', credentials: 'env:SALLYPORT_NOT_SET', lookup: here}"} {
		policy := write(t, "p.yaml", "allow: [a.com]\nupstream: "+upstream+"\n")
		call(t, "check", "--policy", policy, "a.com:443", "b.com:443").
			expect(t, 1, "allow\ta.com:443\t-\ta.com\ndeny\tb.com:443\thost_not_allowed\t-\n", "")
	}
	call(t, "check", "--policy", write(t, "p.yaml", "upstream: nothing\n")).expect(t, 2, "", "p.yaml:1: ")
	call(t, "check", "--upstream", "http://p").expect(t, 2, "", "--upstream is an option of sallyport run")
}

func TestUpstreamSettings(t *testing.T) {
	t.Parallel()
	file := func(url, credentials, lookup string) *policyfile.Upstream {
		return &policyfile.Upstream{URL: url, Credentials: credentials, Lookup: lookup, Source: "p:1"}
	}
	for _, tt := range []struct {
		name  string
		flags []string // url, credentials, lookup
		files []*policyfile.Upstream
		want  []string // as flags; nil for an error
	}{
		{"nothing", []string{"", "", ""}, nil, []string{"", "", ""}},
		{"flag", []string{"http://p", "f", "here"}, nil, []string{"http://p", "f", "here"}},
		{"file", []string{"", "", ""}, []*policyfile.Upstream{file("env", "/f", "upstream")}, []string{"env", "/f", "upstream"}},
		{"both the same", []string{"http://p", "", ""}, []*policyfile.Upstream{file("http://p", "", "here")}, []string{"http://p", "", "here"}},
		{"credentials of a flag for the file's", []string{"", "f", ""}, []*policyfile.Upstream{file("http://p", "", "")}, []string{"http://p", "f", ""}},
		{"different lookups", []string{"", "", "here"}, []*policyfile.Upstream{file("http://p", "", "upstream")}, nil},
		{"different credentials", []string{"", "env:A", ""}, []*policyfile.Upstream{file("http://p", "env:B", "")}, nil},
		{"two files the same", []string{"", "", ""}, []*policyfile.Upstream{file("http://p", "", ""), file("http://p", "", "")}, []string{"http://p", "", ""}},
	} {
		var f upstreamFlags
		for i, w := range []*word{&f.url, &f.credentials, &f.lookup} {
			w.flag = "--" + string("ucl"[i])
			if tt.flags[i] != "" {
				w.values = []string{tt.flags[i]}
			}
		}
		got, err := f.load(tt.files)
		values := []string{got.url.value, got.credentials.value, got.lookup.value}
		if (err != nil) != (tt.want == nil) || err == nil && !slices.Equal(values, tt.want) {
			t.Errorf("%s: got %q, %v, want %q", tt.name, values, err, tt.want)
		}
	}
}

// TestSecretsHaveNoTextForm: whatever prints them by mistake.
func TestSecretsHaveNoTextForm(t *testing.T) {
	t.Parallel()
	s := upstreamSettings{url: setting{secret, "x"}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if got := fmt.Sprintf(format+format, s, credentials{secret, secret}); strings.Contains(got, secret) {
			t.Errorf("%s: got %q", format, got)
		}
	}
}

func TestBackendEnviron(t *testing.T) {
	t.Parallel()
	b := &backend{secret: "UP"}
	got := b.environ([]string{"A=1", "UP=u:" + secret, "HTTPS_PROXY=http://u:" + secret + "@p", "all_proxy=http://u:" + secret + "@p", "UPPER=2"})
	if want := []string{"A=1", "UPPER=2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
