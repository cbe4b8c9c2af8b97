#!/usr/bin/env bash
# Copyright 2026 The Sallyport Authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs egressconform from the repository this action came with, so that both are of the same commit whatever the
# caller named: a tag, a branch or a hash. The caller's own Go settings are for the caller's own modules.
set -euo pipefail

root=$(cd -- "$GITHUB_ACTION_PATH/../../.." && pwd -P)
bin=$RUNNER_TEMP/egressconform/bin
mkdir -p "$bin"
cd "$root"
env --unset=GOOS --unset=GOARCH GOWORK="$root/go.work" GOFLAGS=-buildvcs=false CGO_ENABLED=0 GOBIN="$bin" \
	go install ./conformance/cmd/egressconform
echo "$bin" >>"$GITHUB_PATH"
"$bin/egressconform" version
