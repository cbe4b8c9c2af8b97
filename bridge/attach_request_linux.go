// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// attachRequest is the first message on a control socket, from the peer.
type attachRequest struct {
	// Attach is the version of this exchange, attachVersion.
	Attach int
	// Transparent asks for what Sandbox.Transparent gives.
	Transparent bool `json:",omitempty"`
}

// attachVersion changes when an older peer would misunderstand a newer one.
const attachVersion = 1

// receiveRequest reads the request, which comes with no descriptor.
func receiveRequest(c *net.UnixConn) (asked attachRequest, err error) {
	b := make([]byte, 1<<10)
	n, fds, flags, err := readPacket(c, b)
	closeForeign(fds)
	if err != nil {
		return asked, fmt.Errorf("bridge: a sandbox has asked for nothing: %w", err)
	}
	if len(fds) > 0 || flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0 {
		return asked, errors.New("bridge: a sandbox's request came with descriptors, or is too long")
	}
	if err := decodeStrictly(b[:n], &asked); err != nil || asked.Attach != attachVersion {
		return asked, fmt.Errorf("bridge: a sandbox's request is not one that this version understands: use the same version of Sallyport on both sides (this is %d)", attachVersion)
	}
	return asked, nil
}

// decodeStrictly reads one JSON value that has no field but those of v.
func decodeStrictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("bridge: a message has something behind its end")
	}
	return nil
}
