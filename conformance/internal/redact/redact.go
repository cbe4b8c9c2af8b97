// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package redact takes credentials out of texts that are about to be published: what a proxy logged, what a
// command line held, what an error quoted. It prefers to take out too much. What it cannot know is a secret
// that looks like any other word and stands nowhere near a name that gives it away.
package redact

import (
	"encoding/base64"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// Mark stands where a secret was.
const Mark = "[redacted]"

// secretName is what the name of a variable, a field or a flag has in it when its value is a secret.
const secretName = `(?:token|secret|passw(?:or)?d|passphrase|_pass\b|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|signature|_auth\b)`

// lineRest is the rest of a line, whether the line ends as such or, in a quoted text, by \r or \n in letters.
const lineRest = `(?:[^\r\n\\]|\\[^rn])*`

// value is a quoted text, whose quotes stay, even when it was cut before its end; or everything up to white space.
// The quotes are groups 2 to 7.
const value = `(?:(\\")(?:[^"\\\n]|\\\\\\"|\\[^"\n])*(\\"|$)|(")(?:[^"\\\n]|\\[^\n])*("|$)|(')[^'\n]*('|$)|[^\s"']\S*)`

// kept is what stays of a match of value behind group 1.
const kept = "${1}${2}${4}${6}" + Mark + "${3}${5}${7}"

// rule replaces what re matches. Most texts hold none of needs, one of which every match holds in small letters:
// looking for these first costs a hundredth of what the expression does.
type rule struct {
	needs []string
	re    *regexp.Regexp
	with  string
}

// What the rules need.
var (
	fields   = []string{"authorization", "cookie", "x-api-", "x-auth-"}
	names    = []string{"token", "secret", "passw", "passphrase", "_pass", "key", "credential", "signature", "_auth"}
	prefixes = []string{"gh", "glpat-", "npm_", "pypi-", "xox", "sk", "hf_", "dop_v1_", "aiza"}
)

// The order matters: what holds others comes first.
var rules = []rule{
	{[]string{"-----begin"}, regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`), Mark},
	// RFC 9110, sections 11.6.2 and 11.7.2, and what plays the same part elsewhere. A folded line is a part of the value.
	{fields, regexp.MustCompile(`(?i)\b((?:proxy-)?authorization|(?:set-)?cookie2?|x-(?:api|auth)-[a-z-]+)(\\?["']?\s*[:=][ \t]*)` +
		lineRest + `(?:(?:\r?\n|(?:\\r)?\\n)[ \t]+` + lineRest + `)*`), "${1}${2}" + Mark},
	// RFC 3986, section 3.2.1: up to the last @ of the authority, since a password may hold one.
	{[]string{"@"}, regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*:(?:\\?/){2})[^\s/?#"'<>\\]*@`), "${1}" + Mark + "@"},
	{names, regexp.MustCompile(`(?im)(\b[a-z0-9_.-]*` + secretName + `[a-z0-9_.-]*(?:\\?["'])?[ \t]*(?:=>|:=|[=:])[ \t]*)` + value), kept},
	{names, regexp.MustCompile(`(?im)((?:^|[\s"'\[,])--?[a-z-]*` + secretName + `[a-z-]*["']?[\s,]+)` + value), kept},
	{[]string{"-u"}, regexp.MustCompile(`(?m)((?:^|[\s"'\[,])(?:-u|-U|--user|--proxy-user)["']?[\s,=]+["']?)[^\s:"']+:[^\s"']+`), "${1}" + Mark},
	{[]string{"bearer", "negotiate", "ntlm"}, regexp.MustCompile(`(?i)\b((?:bearer|negotiate|ntlm)(?:\s|\\[rnt])+)[a-z0-9._~+/-]{16,}=*`), "${1}" + Mark},
	{[]string{"eyj"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*`), Mark},
	{prefixes, regexp.MustCompile(`\b(?:gh[a-z]_|github_pat_|glpat-|npm_|pypi-|xox[a-z]-|sk[-_]|hf_|dop_v1_|AIza)[A-Za-z0-9_-]{16,}`), Mark},
	{[]string{"akia", "asia"}, regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`), Mark},
}

// bareUserinfo is a name, a password and an @ without the scheme of a URL before them, as in "proxy:pass@host:3128".
// The suite sends such targets itself, to see what becomes of them, and their texts are evidence: ours.
var (
	bareUserinfo = regexp.MustCompile(`[^\s/?#"'<>@:\[\](),]+:[^\s/?#"'<>@]+@`)
	ours         = regexp.MustCompile(`^(?:a:b|[a-z.]+\.example\.(?:com|net|org):\d+|:443)@$`)
)

var secretVariable = regexp.MustCompile(`(?i)` + secretName)

// Redactor takes secrets out of texts. The zero value knows the shapes of secrets and no particular one.
type Redactor struct{ values []string }

// ForEnviron returns a Redactor that also takes out, wherever they stand, the values of the variables of
// this process whose names speak of a secret, and the passwords in URLs that are values of others.
// It costs little when the environment is what it was the last time.
func ForEnviron() Redactor {
	environ := os.Environ()
	if last := latest.Load(); last != nil && slices.Equal(last.environ, environ) {
		return last.Redactor
	}
	r := newRedactor(environ)
	latest.Store(&remembered{r, environ})
	return r
}

// latest is what ForEnviron returned last.
var latest atomic.Pointer[remembered]

type remembered struct {
	Redactor
	environ []string
}

// shortest is the length below which a value is as likely to be a word.
const shortest = 8

func newRedactor(environ []string) Redactor {
	var r Redactor
	for _, e := range environ {
		name, v, _ := strings.Cut(e, "=")
		if strings.Contains(v, "@") {
			if u, err := url.Parse(v); err == nil && u.User != nil {
				password, _ := u.User.Password()
				r.add(password)
			}
		}
		if secretVariable.MatchString(name) {
			r.add(v)
		}
	}
	// The longer first, for one may be a part of another.
	slices.SortFunc(r.values, func(a, b string) int { return len(b) - len(a) })
	return r
}

func (r *Redactor) add(v string) {
	if len(v) >= shortest {
		r.values = append(r.values, v, base64.StdEncoding.EncodeToString([]byte(v)), url.QueryEscape(v))
	}
}

// Text returns s without secrets. It is idempotent.
func (r Redactor) Text(s string) string {
	for _, v := range r.values {
		s = strings.ReplaceAll(s, v, Mark)
	}
	small := strings.ToLower(s)
	for _, rule := range rules {
		if slices.ContainsFunc(rule.needs, func(n string) bool { return strings.Contains(small, n) }) {
			s = rule.re.ReplaceAllString(s, rule.with)
		}
	}
	if strings.Contains(s, "@") {
		s = bareUserinfo.ReplaceAllStringFunc(s, withoutPassword)
	}
	return withoutBasic(s)
}

func withoutPassword(info string) string {
	if ours.MatchString(info) {
		return info
	}
	user, _, _ := strings.Cut(info, ":")
	return user + ":" + Mark + "@"
}

// withoutBasic replaces every run of letters of base64, in either alphabet, that is "user:password".
func withoutBasic(s string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
	var out strings.Builder
	for s != "" {
		n := 0
		for n < len(s) && strings.IndexByte(letters, s[n]) >= 0 {
			n++
		}
		switch {
		case n == 0:
			n = 1
			out.WriteString(s[:n])
		case n < shortestBasic || !isBasic(s[:n]):
			out.WriteString(s[:n])
		default:
			out.WriteString(Mark)
			for n < len(s) && s[n] == '=' {
				n++
			}
		}
		s = s[n:]
	}
	return out.String()
}

// shortestBasic is the base64 of four bytes, without its padding: less is a word.
const shortestBasic = 6

// either makes the alphabet of URLs (RFC 4648, section 5) the other one.
var either = strings.NewReplacer("-", "+", "_", "/")

// isBasic reports that run is the base64 of "user:password" (RFC 7617), without its padding.
func isBasic(run string) bool {
	plain, err := base64.RawStdEncoding.DecodeString(either.Replace(run))
	if err != nil || !utf8.Valid(plain) {
		return false
	}
	for _, c := range string(plain) {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	user, password, ok := strings.Cut(string(plain), ":")
	return ok && user+password != ""
}
