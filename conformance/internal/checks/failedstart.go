// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

// failStart asks for an instance with a policy line that is none. Whether that is noticed is for DENY-009 to say: an
// instance that runs all the same is ended.
func failStart(x *check.X, c check.Config) {
	c.Allow = []string{check.AllowedHost, "a b"}
	p, err := x.Start(c)
	x.Line("Got", "%v", err)
	if err == nil {
		mustEnd(x, p)
	}
}

func failedStartPort(x *check.X) {
	port := freePort(x)
	failStart(x, check.Config{Port: port})
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	x.Saw(oracle.Lifecycle).Expect(err).NotTo(HaveOccurred(), "listening on port %d after a start that failed", port)
	l.Close()
}

func failedStartSocket(x *check.X) {
	path := filepath.Join(socketDir(x), "s")
	failStart(x, check.Config{SocketPath: path})
	_, err := os.Lstat(path)
	x.Saw(oracle.Socket).Expect(os.IsNotExist(err)).To(BeTrue(), "%s after a start that failed: %v", path, err)
}

// abstractDatagram is abstractSocket for datagrams, which need no connection.
func abstractDatagram(x *check.X) {
	name := fmt.Sprintf("@egress-conformance-datagram-%d", os.Getpid())
	l, err := net.ListenPacket("unixgram", name)
	if err != nil {
		x.Abort("listening on an abstract socket: %v", err)
	}
	defer l.Close()
	nothing("send", "unixgram", name)(x)
}

// nothingLeft waits for the end of every process that holds the command's standard output, which is how a relay that
// outlives its command is noticed, and how it keeps pipelines from ending.
func nothingLeft(x *check.X) {
	cmd, r := follow(x, x.Core(), probe.OpExit, "0")
	err := cmd.Wait()
	x.Saw(oracle.Process).Expect(status(err)).To(BeZero(), "the command: %v", err)
	mustEOF(x, r, "after the command's end")
}
