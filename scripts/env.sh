# shellcheck shell=sh
# Sourced by every script here: go to the root of the repository and give the tools an environment they can rely on.
# The sourcing script sets nothing first; it may be started from any directory, by root or not, with or without HOME.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root" || exit 1

# The Go command needs a home for its caches; services and CI runners are sometimes started without one.
if [ -z "${HOME:-}" ]; then
	HOME=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)
	[ -n "$HOME" ] && [ -w "$HOME" ] || HOME=${TMPDIR:-/tmp}/sallyport-home-$(id -u)
	mkdir -p "$HOME"
	export HOME
fi

# An ordinary user's PATH often lacks the directories of ip and squid, and a fresh machine's that of Go.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/go/bin
export PATH

# A checkout that git distrusts (another owner, no .git at all) must still build.
GOFLAGS="${GOFLAGS:-} -buildvcs=false"
export GOFLAGS

# The race detector waits a second at the end of every process for reports of other threads; the tests start thousands
# of processes, and each of them waits for its own goroutines.
GORACE="atexit_sleep_ms=0 ${GORACE:-}"
export GORACE

# The tree's own go.work, whatever the caller was working on.
GOWORK=$root/go.work
export GOWORK

if ! command -v go >/dev/null 2>&1; then
	echo "$0: Go is not installed, or not on PATH: see https://go.dev/doc/install" >&2
	exit 1
fi
