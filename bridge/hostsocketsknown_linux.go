// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import "path"

// systemServices are where services of the system have their sockets, as patterns of
// package filepath. Those that something of this network namespace listens at are found without a
// list; it is for what a container's process listens at, and it names directories, in
// which a socket that is made later is out of sight, too.
// /run/systemd/resolve is not one of them: /etc/resolv.conf leads there.
var systemServices = []string{
	// Container engines, virtual machines, build daemons.
	"/run/docker.sock", "/run/docker", "/run/podman", "/run/containerd/*.sock*", "/run/crio", "/run/cri-dockerd.sock",
	"/run/dockershim.sock", "/run/k3s/containerd/*.sock*", "/run/buildkit", "/run/libvirt", "/run/guest-services", "/run/host-services",
	"/var/lib/lxd/unix.socket", "/var/lib/incus/unix.socket", "/var/snap/*/common/*/unix.socket", "/run/incus", "/run/lxc",
	"/nix/var/nix/daemon-socket", "/var/guix/daemon-socket", "/run/WSL", "/mnt/wslg", "/run/gvproxy.sock",
	// Sessions, buses, displays.
	"/run/user", "/run/dbus", "/tmp/.X11-unix", "/tmp/.ICE-unix", "/tmp/.XIM-unix", "/tmp/dbus-*",
	// The service manager, its name service and its log.
	"/run/systemd/private", "/run/systemd/notify", "/run/systemd/userdb", "/run/systemd/journal", "/run/systemd/machine",
	"/run/systemd/resolve/io.systemd.*", "/run/systemd/io.systemd.*", "/run/systemd/oom", "/run/systemd/varlink", "/dev/log",
	"/run/nscd", "/run/nslcd", "/var/lib/sss/pipes", "/run/avahi-daemon", "/run/rpcbind.sock",
	// Devices, printers, packages, networks.
	"/run/snapd.socket", "/run/snapd-snap.socket", "/run/pcscd", "/run/cups/cups.sock", "/run/acpid.socket", "/run/udev/control",
	"/run/NetworkManager/private*", "/run/wpa_supplicant", "/run/tailscale", "/run/tor", "/run/chrony",
	// Agents, terminal multiplexers.
	"/tmp/ssh-*/agent.*", "/run/screen", "/run/screens", "/tmp/screens", "/tmp/uscreens", "/tmp/tmux-*", "/tmp/zellij-*",
}

// homeServices are where those of a user have theirs, below the home directory.
var homeServices = []string{
	".docker/run", ".docker/desktop/*.sock", ".colima/*/*.sock", ".lima/*/*.sock", ".rd/*.sock", ".orbstack/run",
	".local/share/containers/podman/machine/*/*.sock", ".gnupg/S.*", ".gnupg/*/S.*", ".ssh/agent", ".1password/agent.sock", ".screen",
}

// knownServices returns the patterns for a user with the given home directory, or none.
func knownServices(home string) []string {
	all := append([]string(nil), systemServices...)
	if path.IsAbs(home) {
		for _, name := range homeServices {
			all = append(all, path.Join(home, name))
		}
	}
	return all
}
