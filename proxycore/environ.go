// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"net/netip"
	"strings"
)

// Bouquet is what child processes are told about a proxy.
type Bouquet struct {
	// ProxyURL is the proxy's address, such as http://127.0.0.1:3128. With ""
	// the proxy variables are only removed.
	ProxyURL string
	// CABundle is the path of a PEM bundle to trust, "" for none.
	CABundle string
	// JavaTrustStore is the path of the PKCS#12 trust store without password that
	// Java is to use, "" for none. It holds what CABundle holds: Java reads no PEM
	// file. Java reads no proxy variable either, it must be told about the proxy by
	// its own options or by the program.
	JavaTrustStore string
	// NoProxy is the list of hosts to reach directly. "" means
	// localhost,127.0.0.1,::1 and "-" an empty list, for when the policy admits
	// the host's loopback through the proxy. Addresses and ranges in it that are
	// not loopback are left out, and so is *: nothing but the sandbox itself is
	// reached directly, the metadata service least of all.
	NoProxy string
}

// defaultNoProxy keeps what runs inside the sandbox reachable inside the sandbox.
const defaultNoProxy = "localhost,127.0.0.1,::1"

var (
	// proxyVars are set to ProxyURL. Tools disagree on the case they read.
	proxyVars = []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"}
	// noProxyVars are set to the list of direct hosts.
	noProxyVars = []string{"NO_PROXY", "no_proxy"}
	// caVars are set to CABundle. In this order: OpenSSL and with it Python, Ruby
	// and PHP, also Go, HTTPX, Cargo and uv; curl; git; Python's Requests; Node and Deno; Cargo;
	// pip; AWS; Deno; gRPC; npm; Hex; Nix; gcloud; httplib2. There is no variable for wget with
	// GnuTLS, nor for PHP's curl extension.
	caVars = []string{
		"SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
		"CARGO_HTTP_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE", "DENO_CERT", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
		"npm_config_cafile", "HEX_CACERTS_PATH", "NIX_SSL_CERT_FILE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
		"HTTPLIB2_CA_CERTS",
	}
	// caRivals are removed where caVars are set: curl, for one, prefers the directory
	// to SSL_CERT_FILE.
	caRivals = []string{"SSL_CERT_DIR"}
	// conflicting variables would overrule those above for one tool or another.
	conflicting = []string{
		"NODE_USE_ENV_PROXY", "FTP_PROXY", "WS_PROXY", "WSS_PROXY", "SOCKS_PROXY", "RSYNC_PROXY", "GIT_PROXY_COMMAND",
		"npm_config_proxy", "npm_config_http_proxy", "npm_config_https_proxy", "npm_config_noproxy",
		"YARN_HTTP_PROXY", "YARN_HTTPS_PROXY", "CARGO_HTTP_PROXY", "PIP_PROXY", "GLOBAL_AGENT_HTTP_PROXY",
		"GLOBAL_AGENT_HTTPS_PROXY", "GLOBAL_AGENT_NO_PROXY",
	}
)

// Environ returns a copy of base, in the form of os.Environ, in which every
// spelling of the proxy variables is replaced by HTTP_PROXY, HTTPS_PROXY,
// ALL_PROXY and NO_PROXY in both cases and NODE_USE_ENV_PROXY=1, and, when there
// is a CA bundle, the variables that TLS clients read it from; SSL_CERT_DIR is then
// removed. Variables that would lead one tool past the proxy are removed. Without a bundle, CA variables
// are left as they are. With a trust store, the options that name it follow those
// that base has in JAVA_TOOL_OPTIONS; what a java command line itself says about
// trust goes before them.
func Environ(base []string, b Bouquet) []string {
	set := []string{}
	add := func(value string, names ...string) {
		for _, name := range names {
			set = append(set, name+"="+value)
		}
	}
	if b.ProxyURL != "" {
		add(b.ProxyURL, proxyVars...)
		add(noProxyList(b.NoProxy), noProxyVars...)
		add("1", "NODE_USE_ENV_PROXY")
	}
	drop := make(map[string]bool)
	lists := [][]string{proxyVars, noProxyVars, conflicting}
	if b.CABundle != "" {
		add(b.CABundle, caVars...)
		lists = append(lists, caVars, caRivals)
	}
	if b.JavaTrustStore != "" {
		add(javaOptions(base, b.JavaTrustStore), javaVar)
		drop[javaVar] = true
	}
	for _, list := range lists {
		for _, name := range list {
			drop[strings.ToUpper(name)] = true
		}
	}
	out := make([]string, 0, len(base)+len(set))
	for _, kv := range base {
		name, _, _ := strings.Cut(kv, "=")
		if !drop[strings.ToUpper(name)] {
			out = append(out, kv)
		}
	}
	return append(out, set...)
}

// javaVar holds options for every Java virtual machine.
const javaVar = "JAVA_TOOL_OPTIONS"

// javaOptions adds the trust store to the options that base has. Of two options
// for the same property Java takes the last.
func javaOptions(base []string, store string) string {
	options := ""
	for _, kv := range base {
		if v, ok := strings.CutPrefix(kv, javaVar+"="); ok && strings.TrimSpace(v) != "" {
			options = v + " " // the last, as os/exec does
		}
	}
	return options + "-Djavax.net.ssl.trustStore=" + javaQuote(store) + " -Djavax.net.ssl.trustStoreType=PKCS12"
}

// javaQuote writes a word such that the virtual machine takes it for one, which
// splits at white space but for what is between two quotation marks of the same
// kind. There is no escape in there, so that a mark goes between the other two.
func javaQuote(word string) string {
	if !strings.ContainsAny(word, " \t\n\v\f\r\"'") {
		return word
	}
	return `"` + strings.ReplaceAll(word, `"`, `"'"'"`) + `"`
}

// noProxyList gives the value of NO_PROXY.
func noProxyList(list string) string {
	switch list {
	case "":
		return defaultNoProxy
	case "-":
		return ""
	}
	var keep []string
	for _, entry := range strings.Split(list, ",") {
		if entry = strings.TrimSpace(entry); entry != "" && mayBypass(entry) {
			keep = append(keep, entry)
		}
	}
	return strings.Join(keep, ",")
}

// mayBypass reports whether a NO_PROXY entry is a name, or nothing but loopback.
func mayBypass(entry string) bool {
	if p, err := netip.ParsePrefix(entry); err == nil {
		return namesLoopback(p)
	}
	host := entry
	if ap, err := netip.ParseAddrPort(entry); err == nil {
		host = ap.Addr().String()
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return entry != "*" && !strings.Contains(entry, "/")
	}
	return a.Unmap().IsLoopback()
}
