// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport-dev/sallyport/fixtures"
)

// sshServer lets everybody in. It serves the repository repo.git to git, and greets at any other command.
func sshServer(t *testing.T) fixtures.Behavior {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(signer)
	root := repository(t)
	return fixtures.BehaviorFunc(func(c *fixtures.Conn) {
		_, channels, requests, err := ssh.NewServerConn(c, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		for ch := range channels {
			if ch.ChannelType() != "session" {
				_ = ch.Reject(ssh.UnknownChannelType, "sessions only")
				continue
			}
			if session, requests, err := ch.Accept(); err == nil {
				sshSession(session, requests, root)
			}
		}
	})
}

// sshSession runs the one command of a session.
func sshSession(session ssh.Channel, requests <-chan *ssh.Request, root string) {
	defer session.Close()
	for r := range requests {
		ok := r.Type == "exec" || r.Type == "env"
		if r.WantReply {
			_ = r.Reply(ok, nil)
		}
		if r.Type != "exec" {
			continue
		}
		var command struct{ Line string }
		var status struct{ Status uint32 }
		_ = ssh.Unmarshal(r.Payload, &command) // an empty line is greeted
		if strings.HasPrefix(command.Line, "git-upload-pack ") {
			c := exec.Command("git", "upload-pack", root+"/repo.git")
			c.Stdin, c.Stdout = session, session
			if c.Run() != nil {
				status.Status = 1
			}
		} else {
			fmt.Fprint(session, greeted)
		}
		_, _ = session.SendRequest("exit-status", false, ssh.Marshal(&status))
		return
	}
}

// postgres speaks version 3 of the protocol as far as a simple query needs it: everybody may log in, and every query
// gives one row with the greeting.
func postgres(c *fixtures.Conn) {
	for { // what asks for encryption comes before what starts
		var head [8]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		n, code := int(binary.BigEndian.Uint32(head[:4])), binary.BigEndian.Uint32(head[4:])
		if n < 8 || n > 10000 {
			return
		}
		if _, err := io.CopyN(io.Discard, c, int64(n-8)); err != nil {
			return
		}
		if code == 3<<16 {
			break
		}
		_, _ = io.WriteString(c, "N")
	}
	ready := pgMessage('Z', "I")
	_, _ = io.WriteString(c, pgMessage('R', "\x00\x00\x00\x00")+pgMessage('S', "server_version\x0015.0\x00")+
		pgMessage('S', "client_encoding\x00UTF8\x00")+ready)
	r := bufio.NewReader(c)
	for {
		kind, err := r.ReadByte()
		if err != nil || kind == 'X' {
			return
		}
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, r, int64(binary.BigEndian.Uint32(size[:]))-4); err != nil {
			return
		}
		text := strings.TrimSpace(greeted)
		// One column of type text, one row.
		_, _ = io.WriteString(c, pgMessage('T', "\x00\x01greeting\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00")+
			pgMessage('D', "\x00\x01"+string(binary.BigEndian.AppendUint32(nil, uint32(len(text))))+text)+
			pgMessage('C', "SELECT 1\x00")+ready)
	}
}

func pgMessage(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))) + body
}

// redis answers every command with the greeting: a command is an array of bulk strings, two lines each.
func redis(c *fixtures.Conn) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		var n int
		if err != nil {
			return
		}
		if _, err := fmt.Sscanf(line, "*%d", &n); err != nil {
			return
		}
		for range 2 * n {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
		}
		text := strings.TrimSpace(greeted)
		fmt.Fprintf(c, "$%d\r\n%s\r\n", len(text), text)
	}
}
