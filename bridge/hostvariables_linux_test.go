// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"slices"
	"testing"
)

func TestHostVariables(t *testing.T) {
	t.Parallel()
	env := []string{
		"PATH=/bin", "HOME=/h", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/s", "KUBERNETES_PORT=1", "KUBECONFIG=/k", "DOCKER_HOST=unix:///run/docker.sock",
		"DISPLAY=:0", "MY_DISPLAY=:0", "LISTEN_FDS=1", "VSCODE_IPC_HOOK_CLI=/x", "VSCODE_NONCE=1", "REMOTE_CONTAINERS_SOCKETS=[]", "REMOTE_CONTAINERS=true",
		"SSH_AUTH_SOCK=/tmp/agent", "TMUX=/tmp/tmux-0/default,1,0", "DOCKER_CONFIG=/d", "STY=1.x", "PIP_INDEX=/tmp/agent", "ODD",
	}
	want := []string{"PATH=/bin", "HOME=/h", "KUBECONFIG=/k", "MY_DISPLAY=:0", "VSCODE_NONCE=1", "REMOTE_CONTAINERS=true", "DOCKER_CONFIG=/d", "PIP_INDEX=/tmp/agent", "ODD"}
	if got := withoutHostVariables(env, nil); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	kept := withoutHostVariables(env, []string{"/run/docker.sock", "/tmp/agent", "/tmp/tmux-0/default"})
	for _, kv := range []string{"DOCKER_HOST=unix:///run/docker.sock", "SSH_AUTH_SOCK=/tmp/agent", "TMUX=/tmp/tmux-0/default,1,0"} {
		if !slices.Contains(kept, kv) {
			t.Errorf("%s does not stay with the socket that it names", kv)
		}
	}
}

func TestNamesSocket(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"/run/a": true, "unix:///run/a": true, "unix:/run/a": true, "unix:path=/run/a,guid=1": true, "unix:path=/run/ab;unix:path=/run/a": true,
		"/run/a,1,0": true, "": false, "/run/ab": false, "/var/run/a": false, "/run/a/b": false, "x/run/a": false,
	} {
		if got := namesSocket(value, "/run/a"); got != want {
			t.Errorf("namesSocket(%q) = %t, want %t", value, got, want)
		}
	}
}
