#!/bin/sh
# Copyright 2026 The Sallyport Authors
# SPDX-License-Identifier: Apache-2.0
#
# tinyproxy for the conformance suite, as strict as its configuration goes:
#
#   egressconform run --name tinyproxy --exec './tinyproxy.sh {port} {allowfile} {dir} {head-timeout}' \
#     --features wildcards,deep-wildcards
#
# tinyproxy takes a configuration file and regular expressions; the suite has a port and policy lines. Whatever it has
# no words for is refused here, because a rule that is half enforced is a hole: the suite takes an exit before the
# first connection for a refusal, and checks exactly that.
set -eu

port=$1 allowfile=$2 dir=$3 timeout=${4:-600}

refuse() {
	echo "tinyproxy.sh: $1: $2" >&2
	exit 1
}

: >"$dir/filter"
while IFS= read -r line; do
	case $line in
	*[!a-zA-Z0-9._*-]*) refuse "$line" 'tinyproxy matches host names, neither ports nor addresses' ;;
	'' | .* | *. | *..* | '*') refuse "$line" 'not a name' ;;
	'**.'*) rest=${line#'**.'} before='([a-z0-9_-]+\.)+' ;;
	'*.'*) rest=${line#'*.'} before='[a-z0-9_-]+\.' ;;
	*) rest=$line before= ;;
	esac
	case $rest in
	*'*'*) refuse "$line" 'a star stands for the first labels' ;;
	*[!0-9.]*) ;;
	*) refuse "$line" 'tinyproxy does not look at addresses' ;;
	esac
	printf '^%s%s\\.?$\n' "$before" "$(printf %s "$rest" | sed 's/\./\\./g')" >>"$dir/filter"
done <"$allowfile"
# An empty filter would be none, and no host name holds a slash.
[ -s "$dir/filter" ] || echo '^/$' >"$dir/filter"

# The page tinyproxy comes with does not name the target.
echo '<!DOCTYPE html><title>{errno} {cause}</title><p>{request}: {detail}' >"$dir/403.html"

cat >"$dir/tinyproxy.conf" <<EOF
Listen 127.0.0.1
Port $port
Allow 127.0.0.1
Timeout $timeout
MaxClients 200
LogLevel Connect
Filter "$dir/filter"
FilterExtended On
FilterDefaultDeny Yes
ConnectPort 443
ConnectPort 80
DisableViaHeader Yes
ErrorFile 403 "$dir/403.html"
EOF
# exec: the suite watches, and ends, the process it started.
exec tinyproxy -d -c "$dir/tinyproxy.conf"
