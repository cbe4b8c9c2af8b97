#!/usr/bin/env bash
# Copyright 2026 The Sallyport Authors
# SPDX-License-Identifier: Apache-2.0
#
# The suite's Internet is a user and network namespace. Ubuntu 24.04 and later forbid those to ordinary users through
# AppArmor. A runner that GitHub throws away afterwards is ours to change; on any other machine this says what to do.
set -euo pipefail

possible() { unshare --user --map-root-user --net true; }

possible 2>/dev/null && exit 0
sysctl=kernel.apparmor_restrict_unprivileged_userns
if [ -e "/proc/sys/${sysctl//.//}" ] && [ "${RUNNER_ENVIRONMENT:-}" = github-hosted ]; then
	echo "AppArmor forbids user namespaces to ordinary users: setting $sysctl=0 for the rest of this job"
	sudo sysctl --quiet --write "$sysctl=0" || true
	possible && exit 0
fi
echo "::error title=Egress conformance::no user namespaces on this runner. Allow them with: sudo sysctl -w $sysctl=0 (AppArmor), \
or sudo sysctl -w user.max_user_namespaces=10000; in a container, with --privileged or a seccomp profile that has unshare"
exit 1
