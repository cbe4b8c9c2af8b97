// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	_ "embed"
	"encoding/json"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/external/internal/presetrules"
	"github.com/sallyport-dev/sallyport/proxycore"
)

var (
	//go:embed preset_mitmdump.py
	mitmdumpAddon string
	//go:embed preset_mitmdump_policy.py
	mitmdumpPolicy string
)

// mitmdumpCA is the certificate of the authority, as mitmproxy names it.
const mitmdumpCA = "mitmproxy-ca-cert.pem"

// addonPolicy is the file from which the addon reads what to do.
type addonPolicy struct {
	Unfiltered bool        `json:"unfiltered"`
	Judges     bool        `json:"judges"` // resolves names, and judges their addresses
	Intercept  string      `json:"intercept"`
	Head       int         `json:"head_seconds"`
	Upstream   []any       `json:"upstream"` // host and port, or null
	Allow      []addonRule `json:"allow"`
	Deny       []addonRule `json:"deny"`
	Blocks     [][2]any    `json:"blocks"` // prefix, and how long a pattern must be to admit an address of it
}

type addonRule struct {
	Form   string      `json:"form"`
	Host   string      `json:"host"`
	Prefix string      `json:"prefix"`
	Spans  []string    `json:"spans"` // the prefix and those whose addresses carry one of it
	Ports  [][2]uint16 `json:"ports"`
}

func renderMitmdump(r *rendering) Spec {
	intercept, ok := map[Interception]string{InterceptAll: "all", InterceptKnown: "known", InterceptNothing: "nothing"}[r.policy.Intercept]
	if !ok {
		r.refuse("Intercept", "there is no such value; use one of the constants")
	}
	policy := addonPolicy{
		Unfiltered: r.policy.Unfiltered,
		Judges:     !r.policy.Unfiltered && (r.upstream == nil || !r.policy.GuardElsewhere),
		Intercept:  intercept,
		Head:       r.headSeconds(),
		Allow:      addonRules(r.rules.Allow),
		Deny:       addonRules(r.rules.Deny),
		Blocks:     [][2]any{},
	}
	for _, b := range proxycore.GuardedBlocks() {
		policy.Blocks = append(policy.Blocks, [2]any{b.Prefix.String(), b.Bits})
	}
	mode := "regular"
	if u := r.upstream; u != nil {
		mode = "upstream:http://" + u.hostPort()
		policy.Upstream = []any{u.host, u.port}
	}
	spec := Spec{
		// All options are in the file, which nobody else can read; the addon is not, because
		// a missing one has to be noticed.
		Argv: []string{"", "--set", "confdir={dir}", "--mode", mode, "--listen-port", "{port}", "--scripts", "{dir}/sallyport_addon.py"},
		Env:  []string{ownDomain, "PYTHONDONTWRITEBYTECODE=1"},
		Files: map[string]string{
			"config.yaml":         r.mitmdumpOptions(),
			"sallyport_addon.py":  mitmdumpAddon,
			"sallyport_policy.py": mitmdumpPolicy,
			"policy.json":         toJSON(policy),
		},
		StartTimeout: 30 * time.Second, // Python takes its time
	}
	if r.policy.Intercept != InterceptNothing {
		spec.CABundle = "{dir}/" + mitmdumpCA
		r.keepCA(spec.Files)
	}
	return spec
}

// mitmdumpOptions writes the file of options. A JSON string is a YAML string too.
func (r *rendering) mitmdumpOptions() string {
	var b strings.Builder
	set := func(option string, value any) { b.WriteString(option + ": " + toJSON(value)) }
	set("listen_host", "127.0.0.1")
	set("onboarding", false)
	set("rawtcp", r.policy.Intercept != InterceptAll)
	set("flow_detail", 0)
	set("termlog_verbosity", "warn")
	set("stream_large_bodies", "1m")
	if r.policy.Roots != "" {
		set("ssl_verify_upstream_trusted_ca", r.absolute("Roots", r.policy.Roots))
	}
	if r.policy.FlowLog != "" {
		// A plus appends. What is behind a percent sign would be a part of the date.
		set("save_stream_file", "+"+strings.ReplaceAll(r.absolute("FlowLog", r.policy.FlowLog), "%", "%%"))
	}
	if r.secret != nil {
		set("proxyauth", r.secret.user+":"+r.secret.password)
	}
	if r.upstream != nil && r.upstream.user != "" {
		set("upstream_auth", r.upstream.user+":"+r.upstream.password)
	}
	return b.String()
}

// absolute refuses paths that would mean something else to the program.
func (r *rendering) absolute(field, path string) string {
	switch {
	case !filepath.IsAbs(path):
		r.refuse(field, "a path has to be absolute: the program has another working directory")
	case strings.ContainsAny(path, "{}\x00\r\n"):
		r.refuse(field, "a path with braces or control characters cannot be written into the configuration")
	}
	return path
}

func addonRules(rules []presetrules.Rule) []addonRule {
	list := []addonRule{}
	for _, rule := range rules {
		a := addonRule{Form: addonForms[rule.Form], Host: rule.Host, Spans: []string{}}
		if rule.Form == proxycore.FormAddresses {
			a.Prefix = rule.Prefix.String()
			for _, p := range proxycore.EmbeddingPrefixes(rule.Prefix) {
				a.Spans = append(a.Spans, p.String())
			}
		}
		for _, p := range rule.Ports {
			a.Ports = append(a.Ports, [2]uint16{p.First, p.Last})
		}
		list = append(list, a)
	}
	return list
}

var addonForms = map[proxycore.PatternForm]string{
	proxycore.FormName: "name", proxycore.FormOneBelow: "one", proxycore.FormBelow: "below",
	proxycore.FormAnyName: "any", proxycore.FormAddresses: "address",
}

// toJSON renders what cannot fail to be rendered, with a line end.
func toJSON(value any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(value)
	return b.String()
}
