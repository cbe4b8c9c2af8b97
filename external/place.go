// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	portPlaceholder   = "{port}"
	addrPlaceholder   = "{addr}"
	socketPlaceholder = "{socket}"
	configPlaceholder = "{config}"
	dirPlaceholder    = "{dir}"

	// portVariable carries the port to programs that read it from the environment,
	// socketVariable the path of the socket.
	portVariable   = "SALLYPORT_PROXY_PORT"
	socketVariable = "SALLYPORT_PROXY_SOCKET"

	// Names in the private directory.
	configName = "config"
	socketName = "proxy.sock"

	// maxSocketPath is what sun_path holds on every system, the final NUL left out.
	maxSocketPath = 103
)

// place is where a child listens and where its files are, the same over all its
// restarts.
type place struct {
	port    int    // 0 when it listens on a Unix socket
	socket  string // "" when it listens on TCP
	dir     string // the private directory; "" when nothing needs one
	exposed bool   // listening beyond loopback is asked for
}

// String names the place in errors.
func (p place) String() string {
	if p.socket != "" {
		return "socket " + p.socket
	}
	return "port " + strconv.Itoa(p.port)
}

// replacer fills placeholders in, in one pass, so that a path with braces in it is
// not expanded again. A placeholder in double braces stands for itself, and so
// does every word in braces that is none.
func (p place) replacer() *strings.Replacer {
	var pairs []string
	add := func(placeholder, value string) {
		pairs = append(pairs, "{"+placeholder+"}", placeholder, placeholder, value)
	}
	if p.port != 0 {
		add(portPlaceholder, strconv.Itoa(p.port))
		add(addrPlaceholder, "127.0.0.1:"+strconv.Itoa(p.port))
	}
	if p.socket != "" {
		add(socketPlaceholder, p.socket)
	}
	if p.dir != "" {
		add(configPlaceholder, filepath.Join(p.dir, configName))
		add(dirPlaceholder, p.dir)
	}
	return strings.NewReplacer(pairs...)
}

// texts are all the places of a Spec where placeholders count.
func (s Spec) texts() []string {
	texts := append([]string{s.Config, s.CABundle}, s.Argv...)
	texts = append(texts, s.Env...)
	for _, text := range s.Files {
		texts = append(texts, text)
	}
	return texts
}

// uses reports whether placeholder stands somewhere to be replaced.
func (s Spec) uses(placeholder string) bool {
	for _, text := range s.texts() {
		if strings.Contains(strings.ReplaceAll(text, "{"+placeholder+"}", ""), placeholder) {
			return true
		}
	}
	return false
}

// checkPlaceholders finds those that nothing would stand for: a program that is
// handed one as it is written fails in ways that are hard to understand.
func (s Spec) checkPlaceholders() error {
	for _, c := range []struct {
		placeholder string
		ok          bool
		remedy      string
	}{
		{portPlaceholder, !s.Socket, "there is no port with Socket; use " + socketPlaceholder},
		{addrPlaceholder, !s.Socket, "there is no address with Socket; use " + socketPlaceholder},
		{socketPlaceholder, s.Socket, "there is a socket only with Socket set"},
		{configPlaceholder, s.Config != "", "there is no configuration file (Config is empty)"},
	} {
		if !c.ok && s.uses(c.placeholder) {
			return fmt.Errorf("external: %w: %s has nothing to stand for: %s, or write {%s} for the word itself", ErrInvalidSpec, c.placeholder, c.remedy, c.placeholder)
		}
	}
	return nil
}

// checkFiles refuses names that would leave the private directory or collide.
func (s Spec) checkFiles() error {
	for name := range s.Files {
		switch {
		case !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) != name || name == ".":
			return fmt.Errorf("external: %w: file %q is not a plain relative path below the private directory", ErrInvalidSpec, name)
		case name == configName || name == socketName:
			return fmt.Errorf("external: %w: the file name %q is taken; use another one, or Config for the main file", ErrInvalidSpec, name)
		}
	}
	return nil
}

// makePlace makes the private directory, if anything needs one. remove undoes it.
func (s Spec) makePlace(port int) (place, error) {
	at := place{port: port, exposed: s.AllowExposed}
	if !s.Socket && s.Config == "" && len(s.Files) == 0 && !s.uses(dirPlaceholder) {
		return at, nil
	}
	dir, err := os.MkdirTemp(s.TempDir, "sallyport-proxy-") // mode 0700
	if err != nil {
		return at, fmt.Errorf("external: private directory for %s: %w; set TempDir or TMPDIR to a directory that can be written to", s.name(), err)
	}
	at.dir = dir
	if at.dir, err = filepath.Abs(dir); err == nil && s.Socket {
		at.port, at.socket = 0, filepath.Join(at.dir, socketName)
		if len(at.socket) > maxSocketPath {
			err = fmt.Errorf("external: the socket's path %s is longer than the %d bytes a system admits; set TempDir or TMPDIR to a shorter one", at.socket, maxSocketPath)
		}
	}
	if err != nil {
		return place{}, errors.Join(err, os.RemoveAll(dir))
	}
	return at, nil
}

// write puts the files in place, before every start of the child: it may have
// changed them. What is left of a socket is removed.
func (s Spec) write(at place) error {
	if at.dir == "" {
		return nil
	}
	fill := at.replacer()
	files := make(map[string]string, len(s.Files)+1)
	for name, text := range s.Files {
		files[name] = text
	}
	if s.Config != "" {
		files[configName] = s.Config
	}
	for name, text := range files {
		if err := writePrivate(filepath.Join(at.dir, filepath.FromSlash(name)), fill.Replace(text)); err != nil {
			return fmt.Errorf("external: file %q for %s: %w", name, s.name(), err)
		}
	}
	if at.socket != "" {
		if err := os.Remove(at.socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("external: the socket that %s left behind: %w", s.name(), err)
		}
	}
	return nil
}

// writePrivate makes a new file, so that neither what a child put in its way nor
// that file's mode lives on.
func writePrivate(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// remove ends the private directory with everything that the child put there.
func (p place) remove() error {
	if p.dir == "" {
		return nil
	}
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("external: the private directory of a proxy is left: %w; remove it by hand", err)
	}
	return nil
}
