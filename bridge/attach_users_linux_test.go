// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A user who is not listed is turned away and told so; one who is comes in.
func TestAttachUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		return // who cannot become another user is the one user
	}
	w := newWorld(t)
	for _, tt := range []struct {
		uids   []uint32
		status int
		want   string
	}{
		{nil, ExitFailed, "permission denied"},
		{[]uint32{1001}, ExitFailed, "does not admit user 1000"},
		{[]uint32{1001, 1000}, 0, "200 hello"},
	} {
		in := w.control(t, Admission{AllowUIDs: tt.uids})
		cmd := container(t, "attach", in.Path(), "", self, "helper", "connect", w.origin)
		asNobody(cmd.SysProcAttr)
		if got := output(t, cmd, tt.status); !strings.Contains(got, tt.want) {
			t.Errorf("%v: got %q, want %q in it", tt.uids, got, tt.want)
		}
	}
}

// An ordinary user without CAP_SETPCAP cannot empty the bounding set, and needs not.
func TestAttachKeepsBoundingSet(t *testing.T) {
	if os.Geteuid() != 0 {
		return // only root can have a container whose user is less than its creator
	}
	w := newWorld(t)
	in := w.control(t, Admission{AllowUIDs: []uint32{1000}})
	cmd := container(t, "attach", in.Path(), "", self, "helper", "look")
	asNobody(cmd.SysProcAttr)
	cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN} // for lo
	var s sight
	if err := json.Unmarshal([]byte(output(t, cmd, 0)), &s); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		if s.Status[key] != "0000000000000000" {
			t.Errorf("%s is %s", key, s.Status[key])
		}
	}
	if s.Status["NoNewPrivs"] != "1" {
		t.Error("no_new_privs is not set")
	}
}
