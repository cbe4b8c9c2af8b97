// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package outside

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport/conformance"
)

// upstream completes the values with those of the proxy that the command has to go through. What the command line has
// no word for is an error: the command would not know of it, and go another way.
func (t *Template) upstream(c conformance.Config, v map[string]string) error {
	up := c.Upstream
	switch {
	case up == nil:
		return nil
	case !t.Uses(Upstream):
		return errors.New("outside: the command line has no {upstream}")
	case up.URL == "":
		return errors.New("outside: an upstream without a URL, which the command could not tell from none")
	case up.CAFile != "" && !t.Uses(UpstreamCA):
		return errors.New("outside: the upstream has an authority of its own, and the command line no {upstream-ca}")
	case up.User+up.Password != "" && !t.Uses(Login):
		return errors.New("outside: the upstream wants credentials, and the command line has no {upstream-credentials}")
	case strings.ContainsAny(up.User+up.Password, "\r\n"):
		return errors.New("outside: credentials with line breaks cannot be put into a file of one line")
	}
	v[Upstream], v[UpstreamCA] = up.URL, up.CAFile
	if up.User+up.Password == "" {
		return nil
	}
	// A file and no word: what is on a command line everybody on the machine can read.
	v[Login] = filepath.Join(c.Dir, Login)
	if err := os.WriteFile(v[Login], []byte(up.User+":"+up.Password+"\n"), 0o600); err != nil {
		return fmt.Errorf("outside: the file for {%s}: %w", Login, err)
	}
	return nil
}
