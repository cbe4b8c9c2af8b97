#!/usr/bin/env bash
# Copyright 2026 The Sallyport Authors
# SPDX-License-Identifier: Apache-2.0
#
# Runs egressconform with what the action was given, puts report.md on the summary page, and ends as egressconform did.
set -euo pipefail

args=()
# A value is one word, whatever stands in it, and belongs to its flag, even when it begins with a dash.
flag() { [ -z "$2" ] || args+=("$1=$2"); }
flag --exec "${CONFORMANCE_EXEC:-}"
flag --launch "${CONFORMANCE_LAUNCH:-}"
flag --proxy "${CONFORMANCE_PROXY:-}"
flag --with "${CONFORMANCE_WITH:-}"
flag --fixed-policy "${CONFORMANCE_FIXED_POLICY:-}"
flag --features "${CONFORMANCE_FEATURES:-}"
flag --baseline "${CONFORMANCE_BASELINE:-}"
flag --name "${CONFORMANCE_NAME:-}"
flag --version "${CONFORMANCE_VERSION:-}"
while IFS= read -r line || [ -n "$line" ]; do
	line=${line%$'\r'}
	[ -z "$line" ] || args+=("$line")
done < <(printf %s "${CONFORMANCE_ARGS:-}")

reports=$(mktemp -d "$RUNNER_TEMP/egressconform-reports.XXXXXX")
# Artifacts are called by names that every file system can hold.
artifact=${CONFORMANCE_ARTIFACT:-egressconform${CONFORMANCE_NAME:+-$CONFORMANCE_NAME}}
artifact=${artifact//[^A-Za-z0-9._-]/-}
{
	echo "report-dir=$reports"
	echo "artifact=$artifact"
} >>"$GITHUB_OUTPUT"

# What the proxy writes is shown, and must not be read as a command to the runner.
token=$(tr -dc a-z0-9 </dev/urandom | head -c 32 || true)
echo "::stop-commands::$token"
status=0
egressconform run "${args[@]}" --report-dir="$reports" || status=$?
echo "::$token::"
echo "status=$status" >>"$GITHUB_OUTPUT"
if [ -s "$reports/report.md" ]; then
	cat "$reports/report.md" >>"$GITHUB_STEP_SUMMARY"
else
	echo "egressconform ended with status $status and left no report; the log of this step says why." >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
