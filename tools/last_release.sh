#!/usr/bin/env bash
# last_release.sh REPOSITORY VERSION: the tag of a version, or the last one of a line such as v2.4
set -euo pipefail
last=$(git ls-remote --tags --refs "$1" "$2" "$2.*" | sed 's#.*refs/tags/##' |
	grep -E '^v[0-9]+[.][0-9]+[.][0-9]+$' | sort -V | tail -n 1)
[ -n "$last" ] || { echo "no release of $2 in $1" >&2; exit 1; }
echo "$last"
