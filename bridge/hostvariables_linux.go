// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// hostVariables tell a program how to reach a service of the host: a bus, an agent, a
// display, an engine, an editor, whoever started it. In the sandbox these are out of reach, and a program
// that does not know of them uses something else or says so at once. Credentials are not
// among them, nor what only names a file (KUBECONFIG, DOCKER_CONFIG): who starts a
// command chooses what it may know. A name that ends in "*" stands for all that begin so.
var hostVariables = []string{
	// Agents and key rings.
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "GPG_AGENT_INFO", "GNOME_KEYRING_*",
	// Session and display. DBUS_* has more names for the address of a bus.
	"DBUS_*", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "XAUTHORITY", "ICEAUTHORITY",
	"SESSION_MANAGER", "AT_SPI_BUS_ADDRESS", "PULSE_SERVER", "PIPEWIRE_REMOTE", "PIPEWIRE_RUNTIME_DIR",
	"I3SOCK", "SWAYSOCK", "HYPRLAND_INSTANCE_SIGNATURE", "NIRI_SOCKET",
	// Containers, virtual machines and clusters.
	"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "CONTAINER_HOST", "CONTAINER_CONNECTION",
	"CONTAINER_SSHKEY", "CONTAINERD_ADDRESS", "CONTAINER_RUNTIME_ENDPOINT", "IMAGE_SERVICE_ENDPOINT", "BUILDKIT_HOST",
	"LIBVIRT_DEFAULT_URI", "LXD_DIR", "LXD_SOCKET", "INCUS_DIR", "INCUS_SOCKET", "KUBERNETES_*", "WSL_INTEROP", "NIX_REMOTE",
	// Service managers.
	"NOTIFY_SOCKET", "LISTEN_*", "JOURNAL_STREAM", "WATCHDOG_PID", "WATCHDOG_USEC", "MANAGERPID", "SYSTEMD_EXEC_PID",
	"MEMORY_PRESSURE_WATCH", "UPSTART_SESSION",
	// Terminals, multiplexers and editors that can be told to type or to run something.
	"TMUX", "TMUX_PANE", "STY", "ZELLIJ*", "KITTY_LISTEN_ON", "ALACRITTY_SOCKET", "WEZTERM_UNIX_SOCKET",
	"NVIM", "NVIM_LISTEN_ADDRESS", "EMACS_SOCKET_NAME", "VSCODE_IPC_HOOK*", "VSCODE_GIT_IPC_*", "REMOTE_CONTAINERS_*SOCK*",
	"REMOTE_CONTAINERS_IPC",
}

// isHostVariable reports whether name is in hostVariables.
func isHostVariable(name string) bool {
	return slices.ContainsFunc(hostVariables, func(v string) bool {
		before, after, pattern := strings.Cut(v, "*")
		if !pattern {
			return name == v
		}
		rest, ok := strings.CutPrefix(name, before)
		return ok && strings.Contains(rest, strings.TrimSuffix(after, "*"))
	})
}

// withoutHostVariables returns env without hostVariables, except for those which
// name one of the sockets in keep, which the command is meant to find.
func withoutHostVariables(env, keep []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, value, _ := strings.Cut(kv, "=")
		named := slices.ContainsFunc(keep, func(path string) bool { return namesSocket(value, path) })
		return isHostVariable(name) && !named
	})
}

// namesSocket reports whether value is path, or has it as an address has
// ("unix:///run/docker.sock", "unix:path=/run/bus,guid=…", "/tmp/tmux-0/default,1,0").
func namesSocket(value, path string) bool {
	for value != "" {
		before, after, found := strings.Cut(value, path)
		if !found {
			return false
		}
		if (before == "" || strings.ContainsAny(before[len(before)-1:], "=/:;")) && (after == "" || strings.ContainsAny(after[:1], ",;")) {
			return true
		}
		value = after
	}
	return false
}

// unsetHostVariables takes hostVariables out of this process's environment, which
// becomes the command's.
func unsetHostVariables(p params) error {
	if p.open(DoorHostVariables) {
		return nil
	}
	env := os.Environ()
	left := withoutHostVariables(env, p.HostSockets)
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(left, kv) {
			continue
		}
		if err := os.Unsetenv(name); err != nil {
			return fmt.Errorf("bridge: unset %s in the sandbox: %w", name, err)
		}
	}
	return nil
}
