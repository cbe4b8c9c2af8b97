// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// upstream is the proxy that a preset's proxy goes through.
type upstream struct {
	host           string // a name or an address, without brackets
	port           uint16
	user, password string // both "" for none
}

// parseUpstream reads Policy.Upstream. No error shows the URL: it may hold a password.
func parseUpstream(preset, raw string) (*upstream, error) {
	if raw == "" {
		return nil, nil
	}
	wrong := func(problem string) error {
		return fmt.Errorf("external: preset %s: the upstream %s; write http://host:port, with user:password@ before the host where it asks for them", preset, problem)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, wrong("is no URL")
	case u.Scheme != "http":
		return nil, wrong(fmt.Sprintf("has the scheme %q, and the preset can only go through http", u.Scheme))
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return nil, wrong("has more than a host and a port")
	case u.Port() == "":
		return nil, wrong("names no port")
	}
	target, err := proxycore.ParseTarget(u.Host)
	if err != nil {
		return nil, wrong("has no usable host and port")
	}
	up := &upstream{host: target.Host, port: target.Port}
	if target.Addr.IsValid() {
		up.host = target.Addr.String()
	}
	if u.User == nil {
		return up, nil
	}
	up.user = u.User.Username()
	up.password, _ = u.User.Password()
	if problem := checkSecret(up.user, up.password); problem != nil {
		return nil, wrong(problem.Error())
	}
	return up, nil
}

// checkSecret refuses what would be something else in some configuration file, or
// in the header field (RFC 7617 section 2).
func checkSecret(user, password string) error {
	for _, r := range user + password {
		if r < ' ' || r > '~' {
			return errors.New("has a character in its credentials that is not printable ASCII")
		}
	}
	switch {
	case user == "" || password == "":
		return errors.New("has only one of user and password")
	case strings.Contains(user, ":"):
		return errors.New("has a colon in its user name")
	case strings.ContainsAny(user+password, "{}"):
		return errors.New("has a brace in its credentials, which configuration files here may not have")
	}
	return nil
}

// hostPort returns host:port, with brackets where an address needs them.
func (u *upstream) hostPort() string { return net.JoinHostPort(u.host, strconv.Itoa(int(u.port))) }

// newCredentials makes up 128 bits each. They are hexadecimal, so that they mean
// themselves in every configuration file.
func newCredentials() *credentials {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	return &credentials{user: hex.EncodeToString(raw[:16]), password: hex.EncodeToString(raw[16:])}
}

// newMark makes up 32 bits.
func newMark() string {
	var raw [4]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

// basic returns the credentials as the Basic scheme sends them: for hexadecimal ones
// letters, digits and equals signs only.
func (c *credentials) basic() string {
	return base64.StdEncoding.EncodeToString([]byte(c.user + ":" + c.password))
}

// percentAll escapes every byte but letters and digits.
func percentAll(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
