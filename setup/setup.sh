#!/bin/sh
# Sets up fnb for the steps that follow, as the actions ask for it: VERSION, SHA256 and BASE are
# their inputs. It is put into a folder of the job's own, which no other job sees.
set -eu

version=${VERSION:-} sha256=${SHA256:-} base=${BASE:-}
releases=https://github.com/OWNER/fnb/releases/download # OWNER is nobody, until there is a repository
source=$(cd "$(dirname "$0")/.." && pwd)
bin=${RUNNER_TEMP:-$HOME/.local}/fnb
# Windows has two ways to write a path: one for this shell, and one for the runner.
if command -v cygpath >/dev/null; then bin=$(cygpath -u "$bin"); fi

case $version in
'' | [0-9]* | v[0-9]*) ;;
*)
  echo "::error::version must be one such as 1.2.3"
  exit 1
  ;;
esac
if [ -n "$version" ]; then
  set -- "$version" --to "$bin"
  [ -z "$sha256" ] || set -- "$@" --sha256 "$sha256"
  case $releases in */OWNER/*) ;; *) base=${base:-$releases} ;; esac
  [ -z "$base" ] || set -- "$@" --base "$base"
  sh "$source/install.sh" "$@"
elif [ -n "$sha256$base" ]; then
  echo "::error::sha256 and base need a version"
  exit 1
elif command -v fnb >/dev/null; then
  bin=$(dirname "$(command -v fnb)")
else
  echo "::notice::fnb is built from its source, which takes minutes: the input version installs a release instead"
  make -C "$source" build
  mkdir -p "$bin"
  mv "$source/bin/fnb" "$bin/fnb"
fi

echo "version=$("$bin/fnb" version | cut -d ' ' -f 2)" >>"${GITHUB_OUTPUT:-/dev/null}"
if command -v cygpath >/dev/null; then bin=$(cygpath -w "$bin"); fi
echo "path=$bin" >>"${GITHUB_OUTPUT:-/dev/null}"
echo "$bin" >>"$GITHUB_PATH"
