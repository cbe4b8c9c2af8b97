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

// rule replaces what re matches; the text of its groups named keep stays.
type rule struct {
	re   *regexp.Regexp
	with string
}

// The order matters: what holds others comes first.
var rules = []rule{
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`), Mark},
	// RFC 9110, sections 11.6.2 and 11.7.2, and what plays the same part elsewhere. A folded line is a part of the value.
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization|(?:set-)?cookie2?|x-(?:api|auth)-[a-z-]+)(\\?["']?\s*[:=][ \t]*)` +
		lineRest + `(?:(?:\r?\n|(?:\\r)?\\n)[ \t]+` + lineRest + `)*`), "${1}${2}" + Mark},
	// RFC 3986, section 3.2.1: up to the last @ of the authority, since a password may hold one.
	{regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*:(?:\\?/){2})[^\s/?#"'<>\\]*@`), "${1}" + Mark + "@"},
	{regexp.MustCompile(`(?im)(\b[a-z0-9_.-]*` + secretName + `[a-z0-9_.-]*(?:\\?["'])?[ \t]*(?:=>|:=|[=:])[ \t]*)` + value), kept},
	{regexp.MustCompile(`(?im)((?:^|[\s"'\[,])--?[a-z-]*` + secretName + `[a-z-]*["']?[\s,]+)` + value), kept},
	{regexp.MustCompile(`(?m)((?:^|[\s"'\[,])(?:-u|-U|--user|--proxy-user)["']?[\s,=]+["']?)[^\s:"']+:[^\s"']+`), "${1}" + Mark},
	{regexp.MustCompile(`(?i)\b((?:bearer|negotiate|ntlm)(?:\s|\\[rnt])+)[a-z0-9._~+/-]{16,}=*`), "${1}" + Mark},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*`), Mark},
	{regexp.MustCompile(`\b(?:gh[a-z]_|github_pat_|glpat-|npm_|pypi-|xox[a-z]-|sk[-_]|hf_|dop_v1_|AIza)[A-Za-z0-9_-]{16,}`), Mark},
	{regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`), Mark},
}

// base64Run is what may be the base64 of "user:password", in either alphabet.
var base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{6,}={0,2}`)

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
func ForEnviron() Redactor { return newRedactor(os.Environ()) }

// shortest is the length below which a value is as likely to be a word.
const shortest = 8

func newRedactor(environ []string) Redactor {
	var r Redactor
	for _, e := range environ {
		name, v, _ := strings.Cut(e, "=")
		if u, err := url.Parse(v); err == nil && u.User != nil {
			password, _ := u.User.Password()
			r.add(password)
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
	for _, rule := range rules {
		s = rule.re.ReplaceAllString(s, rule.with)
	}
	s = bareUserinfo.ReplaceAllStringFunc(s, func(info string) string {
		if ours.MatchString(info) {
			return info
		}
		user, _, _ := strings.Cut(info, ":")
		return user + ":" + Mark + "@"
	})
	return base64Run.ReplaceAllStringFunc(s, func(run string) string {
		if isBasic(run) {
			return Mark
		}
		return run
	})
}

// isBasic reports that run is the base64 of "user:password" (RFC 7617), whole or behind a part of a path.
func isBasic(run string) bool {
	trimmed := strings.TrimRight(run, "=")
	trimmed = strings.NewReplacer("-", "+", "_", "/").Replace(trimmed)
	plain, err := base64.RawStdEncoding.DecodeString(trimmed)
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
