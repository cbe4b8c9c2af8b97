// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/external/internal/presetrules"
	"github.com/sallyport-dev/sallyport/proxycore"
)

// ErrNotInstalled is returned by [Preset.Spec] when the program is not there. The
// text names the package to install.
var ErrNotInstalled = errors.New("program is not installed")

// Policy is what a preset's proxy is to admit. The zero value denies everything.
//
// Upstream and CADir may lead to secrets: print a Policy with care.
type Policy struct {
	// Allow and Deny are patterns as [proxycore.Policy] has them.
	Allow, Deny []string

	// Unfiltered makes the proxy admit everything, for use behind a filter (see
	// [Chain]); Allow and Deny must be empty then. Where the program can ask for
	// credentials it is given random ones, which [Spec.Credentials] returns, so that
	// nobody else on the host can use it. Privoxy cannot.
	Unfiltered bool

	// Upstream is the URL of the HTTP proxy that the program is to go through,
	// http://host:port or http://user:password@host:port; "" is none. The
	// credentials end up in a private configuration file and nowhere else.
	Upstream string

	// GuardElsewhere says that something else makes sure that no admitted name leads
	// to a special-purpose address: a name server that never answers with one, a
	// packet filter, the upstream. Without it a program that does not judge the
	// addresses of a name refuses rules about names.
	GuardElsewhere bool

	// HeadTimeout is how long a client may take to send the head of its request. 0
	// means 10 s. Only squid and mitmdump know it, in whole seconds; the others have
	// one limit of time for everything, and refuse it.
	HeadTimeout time.Duration

	// Intercept says what mitmdump does to what it carries. Other presets never
	// intercept, and ignore it.
	Intercept Interception

	// CADir is the directory in which mitmdump's certificate authority is kept from
	// one start to the next; it is made there, mode 0700, if there is none. "" is a
	// new one for each start. Whoever can read it can impersonate every site to those
	// who trust it.
	CADir string

	// Roots is the absolute path of a PEM file with those who may have signed the
	// certificates of the hosts that mitmdump connects to. "" is the system's.
	Roots string

	// FlowLog is the absolute path of the file to which mitmdump writes, behind what
	// is in it, everything it has read, secrets included. "" is none.
	FlowLog string
}

// Interception is what an intercepting proxy does to what it carries.
type Interception uint8

const (
	// InterceptAll opens TLS and reads HTTP, and ends tunnels with anything else in them.
	InterceptAll Interception = iota
	// InterceptKnown opens TLS and reads HTTP, and passes on anything else unread: SSH, databases.
	InterceptKnown
	// InterceptNothing passes on everything unread. There is no certificate authority then.
	InterceptNothing
)

// InexpressibleError is a part of a policy that a program has no words for. A
// preset writes a policy down exactly or not at all.
type InexpressibleError struct {
	// Preset is the name of the preset.
	Preset string
	// Pattern is the pattern as written, or the name of the field of [Policy].
	Pattern string
	// Reason says why, and what to do instead.
	Reason string
}

// Error implements error.
func (e *InexpressibleError) Error() string {
	return fmt.Sprintf("external: %s cannot express %q: %s", e.Preset, e.Pattern, e.Reason)
}

// Preset knows how to configure one program. The zero value is not usable;
// [LookupPreset] returns presets.
type Preset struct {
	name    string
	program string // the command
	pkg     string // Debian's package with it
	render  func(r *rendering) Spec
}

// rendering is a policy on its way into a program's words.
type rendering struct {
	preset   string
	policy   Policy
	rules    presetrules.Rules
	upstream *upstream
	secret   *credentials // of an unfiltered proxy that can ask for them
	mark     string       // letters and digits that no other Spec has
	problems []error
}

// presets are in alphabetical order.
var presets = []Preset{
	{"mitmdump", "mitmdump", "mitmproxy", renderMitmdump},
	{"privoxy", "privoxy", "privoxy", renderPrivoxy},
	{"squid", "squid", "squid", renderSquid},
	{"tinyproxy", "tinyproxy", "tinyproxy", renderTinyproxy},
}

// Presets returns the names that [LookupPreset] knows, in alphabetical order.
func Presets() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.name
	}
	return names
}

// LookupPreset returns the preset of a name. The error for an unknown one names
// those there are.
func LookupPreset(name string) (Preset, error) {
	for _, p := range presets {
		if p.name == name {
			return p, nil
		}
	}
	advice := ""
	for _, p := range presets {
		if lower := strings.ToLower(name); lower == p.name || lower == p.pkg || nearly(lower, p.name) {
			advice = "did you mean " + p.name + "? "
		}
	}
	return Preset{}, fmt.Errorf("external: there is no preset %q: %sthere are %s; start any other program by its command line",
		name, advice, strings.Join(Presets(), ", "))
}

// nearly reports whether one edit makes b of a, or two neighbours are swapped.
func nearly(a, b string) bool {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	swapped := len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
	return len(a) <= 1 && len(b) <= 1 || swapped
}

// Name returns the name by which [LookupPreset] knows p.
func (p Preset) Name() string { return p.name }

// Spec writes the policy down in the words of the program. The error joins an
// [*InexpressibleError] for each part of the policy that the program has no words
// for; patterns that nobody understands have the errors of [proxycore.NewFilter].
// Spec starts nothing. It makes the certificate authority in policy.CADir, and
// each Spec has credentials of its own.
func (p Preset) Spec(policy Policy) (Spec, error) {
	spec, err := p.rendered(policy)
	if err != nil {
		return Spec{}, err
	}
	path, err := findProgram(p.program)
	if err != nil {
		return Spec{}, fmt.Errorf("external: preset %s: %w: install it (on Debian and Ubuntu: apt install %s)", p.name, ErrNotInstalled, p.pkg)
	}
	spec.Argv[0] = path
	return spec, nil
}

// rendered is Spec whether the program is there or not.
func (p Preset) rendered(policy Policy) (Spec, error) {
	if p.render == nil {
		return Spec{}, errors.New("external: the zero Preset cannot be used; LookupPreset returns presets")
	}
	if policy.Unfiltered && len(policy.Allow)+len(policy.Deny) > 0 {
		return Spec{}, fmt.Errorf("external: preset %s: the policy has patterns and is Unfiltered: give the patterns to the filter in front", p.name)
	}
	rules, err := presetrules.Parse(policy.Allow, policy.Deny)
	if err != nil {
		return Spec{}, err
	}
	r := &rendering{preset: p.name, policy: policy, rules: rules, mark: newMark()}
	if r.upstream, err = parseUpstream(p.name, policy.Upstream); err != nil {
		return Spec{}, err
	}
	if policy.Unfiltered {
		r.secret = newCredentials()
	}
	r.checkOptions()
	spec := p.render(r)
	if err := errors.Join(r.problems...); err != nil {
		return Spec{}, err
	}
	spec.Unfiltered, spec.credentials = policy.Unfiltered, r.secret
	spec.Probe = deniedTarget(policy)
	return spec, nil
}

// headSeconds is Policy.HeadTimeout in whole seconds.
func (r *rendering) headSeconds() int {
	if r.policy.HeadTimeout <= 0 {
		return 10
	}
	return int((r.policy.HeadTimeout + time.Second - 1) / time.Second)
}

// checkOptions refuses what the preset would have to ignore.
func (r *rendering) checkOptions() {
	if r.policy.HeadTimeout < 0 {
		r.refuse("HeadTimeout", "it is negative; 0 means 10 s")
	}
	if r.policy.HeadTimeout > 0 && (r.preset == "tinyproxy" || r.preset == "privoxy") {
		r.refuse("HeadTimeout", "its only limit of time would end idle tunnels too")
	}
	if r.preset == "mitmdump" {
		return
	}
	if r.policy.FlowLog != "" {
		r.refuse("FlowLog", "it does not see into tunnels; mitmdump does")
	}
	if r.policy.Roots != "" {
		r.refuse("Roots", "it does not open TLS; mitmdump does")
	}
	if r.policy.CADir != "" {
		r.refuse("CADir", "it does not intercept; mitmdump does")
	}
}

// refuse notes a part of the policy that cannot be written down.
func (r *rendering) refuse(pattern, reason string) {
	problem := &InexpressibleError{Preset: r.preset, Pattern: pattern, Reason: reason}
	if !slices.ContainsFunc(r.problems, func(e error) bool { return e.Error() == problem.Error() }) {
		r.problems = append(r.problems, problem)
	}
}

// sbin is where Debian keeps daemons, which an ordinary user's PATH leaves out.
var sbin = []string{"/usr/local/sbin/", "/usr/sbin/", "/sbin/"}

// findProgram returns the path of a command.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	i := slices.IndexFunc(sbin, func(dir string) bool {
		_, err := exec.LookPath(dir + name)
		return err == nil
	})
	if i < 0 {
		return "", err
	}
	return sbin[i] + name, nil
}

// deniedTargets are what hardly any policy admits: addresses that nobody has.
var deniedTargets = []string{"192.0.2.1:443", "[2001:db8::1]:443", "203.0.113.1:9", "240.0.0.1:9", "255.255.255.255:9", "[ff0e::1]:9"}

// deniedTarget returns the target by which a start tells whether the proxy filters: the usual
// one, unless the policy admits every name.
func deniedTarget(policy Policy) string {
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: policy.Allow, Deny: policy.Deny})
	if err != nil {
		return ""
	}
	refused := func(text string) bool {
		target, err := proxycore.ParseTarget(text)
		return err == nil && !filter.Decide(target).Allowed
	}
	if i := slices.IndexFunc(deniedTargets, refused); !refused("probe.invalid:443") && i >= 0 {
		return deniedTargets[i]
	}
	return ""
}
