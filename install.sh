#!/bin/sh
# Installs one release of fnb, and checks it before anything is unpacked: see --help.
#
# All of it is in functions, and the last line calls the first: half of this file, such
# as a broken download has, does nothing.
set -eu

# What is installed if nothing else is said, and where releases are. A release fills in both.
release=''
releases=''

# Whose signature every release has: a public key of OpenSSH's. None has one yet.
key=''

main() {
  read_arguments "$@"
  find_platform
  name=fnb_${version}_${os}_${arch}.$kind
  page=$base/v$version
  if [ -n "$dry" ]; then
    echo "would get $page/$name"
    echo "would check it against ${expected:-$page/checksums.txt}"
    echo "would put its program at $to/$program"
    return
  fi
  find_programs
  make_work
  get_archive
  unpack
  mv -f "$work/$program" "$to/$program" || fail "cannot put the program at $to/$program"
  echo "$to/$program"
  advise
}

usage() {
  cat <<'EOF'
Installs a release of fnb. Nothing is unpacked before its checksum is right.

Usage: sh install.sh [VERSION] [FLAG]...

  VERSION       the release, such as 1.2.3
  --to DIR      put fnb into DIR (default ~/.local/bin; root must name one)
  --base URL    take it from URL/vVERSION, such as a mirror: https: or file:
  --sha256 HEX  the SHA-256 that must be right: of the archive, or of the release's
                checksums.txt, which is the same on all platforms
  --key KEY     who must have signed the release: a public key of OpenSSH's, or its file.
                It needs ssh-keygen
  --dry-run     say what would be done, and do nothing

Examples:
  sh install.sh 1.2.3
  sh install.sh 1.2.3 --to /usr/local/bin --base https://mirror.example.com/fnb
  sh install.sh 1.2.3 --key 'ssh-ed25519 AAAA…'
EOF
}

say() { printf 'install.sh: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

misuse() {
  say "$*"
  say 'see: sh install.sh --help'
  exit 2
}

have() { command -v "$1" >/dev/null 2>&1; }

read_arguments() {
  version='' base=$releases to='' expected='' dry='' signer=''
  while [ $# -gt 0 ]; do
    case $1 in
    --to | --base | --sha256 | --key)
      # A variable that is not set must not take a checksum away.
      [ -n "${2:-}" ] || misuse "$1 needs a value"
      case $1 in
      --to) to=$2 ;;
      --base) base=$2 ;;
      --sha256) expected=$2 ;;
      --key) signer=$2 ;;
      esac
      shift
      ;;
    --dry-run) dry=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) misuse "there is no flag $1" ;;
    *)
      [ -z "$version" ] || misuse "one version, not $version and $1"
      version=$1
      ;;
    esac
    shift
  done
  version=${version:-$release}
  version=${version#v}
  case $version in
  '') misuse 'name a version, such as 1.2.3' ;;
  [!0-9]* | *[!0-9A-Za-z.-]*) misuse "$version is no version: name one such as 1.2.3" ;;
  esac
  expected=$(printf '%s' "$expected" | tr A-F a-f)
  [ -z "$expected" ] || is_sum "$expected" || misuse "--sha256 $expected: it must be 64 hexadecimal digits"
  check_base
  check_folder
  check_key
}

check_base() {
  base=${base%/}
  case $base in
  '') misuse 'no page of releases is known here: name one with --base URL' ;;
  https://* | file:/*) ;;
  http://*) [ -n "$expected" ] || is_here "${base#http://}" || misuse "$base is not encrypted: give --sha256 too, or an https: address" ;;
  *) misuse "--base $base: it must begin with https: or file:" ;;
  esac
}

# is_here HOST:PORT/PATH says whether that is this machine. What looks like a port may be the
# password of a user, with another machine behind it.
is_here() {
  host=${1%%/*} port=0
  case $host in *:*) port=${host#*:} host=${host%%:*} ;; esac
  case $port in '' | *[!0-9]*) return 1 ;; esac
  [ "$host" = 127.0.0.1 ] || [ "$host" = localhost ]
}

check_folder() {
  if [ -z "$to" ]; then
    [ "$(id -u)" != 0 ] || misuse 'it runs as root, so name the folder: --to /usr/local/bin'
    [ -n "${HOME:-}" ] || misuse 'HOME is not set, so name the folder: --to DIR'
    to=$HOME/.local/bin
  fi
  case $to in /* | [A-Za-z]:*) ;; *) to=$PWD/$to ;; esac
}

# check_key reads the key that was named. The one in this file is for whoever gives no checksum.
check_key() {
  if [ -n "$signer" ] && [ -f "$signer" ]; then
    signer=$(grep -v '^#' "$signer" | head -n 1 | tr -d '\r')
  elif [ -z "$signer" ] && [ -z "$expected" ]; then
    signer=$key
  fi
  case $signer in
  '' | 'ssh-'*' AAAA'* | 'ecdsa-'*' AAAA'* | 'sk-'*' AAAA'*) ;;
  *) misuse '--key is neither a public key of OpenSSH nor the file of one: it begins with a word such as ssh-ed25519' ;;
  esac
}

find_platform() {
  os=$(uname -s) arch=$(uname -m) kind=tar.gz program=fnb
  case $os in
  Linux) os=linux ;;
  Darwin)
    os=darwin
    # A shell that Rosetta translates says x86_64 on a machine that is arm64.
    [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || true)" != 1 ] || arch=arm64
    ;;
  MINGW* | MSYS* | CYGWIN*) os=windows kind=zip program=fnb.exe ;;
  *) fail "there is no release for $os: build fnb from its source" ;;
  esac
  case $arch in
  x86_64 | amd64) arch=amd64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) fail "there is no release for $os on $arch: build fnb from its source" ;;
  esac
}

# find_programs says at once what is missing, not when it is needed.
find_programs() {
  case $base in
  file:*) ;;
  *) have curl || have wget || fail 'neither curl nor wget is installed' ;;
  esac
  have sha256sum || have shasum || fail 'neither sha256sum nor shasum is installed, so nothing can be checked'
  [ -z "$signer" ] || have ssh-keygen || fail 'ssh-keygen is not installed, so the signature of the release cannot be checked: install OpenSSH'
  case $kind in
  zip) have unzip || fail 'unzip is not installed' ;;
  *) have tar || fail 'tar is not installed' ;;
  esac
}

# make_work makes a folder beside the place of the program, so that the program can be put
# there in one step. It goes whatever happens.
make_work() {
  mkdir -p "$to" 2>/dev/null || fail "cannot make the folder $to: name another with --to DIR"
  [ ! -d "$to/$program" ] || fail "$to/$program is a folder: name another place with --to DIR"
  work=$(mktemp -d "$to/.fnb-XXXXXX" 2>/dev/null) || fail "cannot write to $to: name another folder with --to DIR"
  trap 'rm -rf "$work"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# get URL FILE: every curl has these flags; BusyBox's wget has few, and crashes with -T on Debian.
get() {
  case $1 in
  file:*)
    path=${1#file:}
    case $path in //*) path=${path#//} ;; esac
    cp "$path" "$2" 2>/dev/null
    ;;
  *)
    if have curl; then
      protocols='=https' redirects='=https'
      case $1 in http:*) protocols='=http,https' ;; esac
      [ -z "$expected" ] || redirects=$protocols
      curl --fail --silent --show-error --location --proto "$protocols" --proto-redir "$redirects" --retry 3 --connect-timeout 20 \
        --speed-limit 1000 --speed-time 30 --output "$2" "$1" 2>"$work/said"
    elif wget --version >/dev/null 2>&1; then
      wget -nv -S --tries=3 --timeout=30 -O "$2" "$1" 2>"$work/said" && stayed
    else
      wget -q -S -O "$2" "$1" 2>"$work/said" && stayed
    fi || {
      # What a server answered is in it.
      grep -v '^  ' "$work/said" | LC_ALL=C tr -cd '\n -~' >&2
      return 1
    }
    ;;
  esac
}

# stayed says whether wget was sent nowhere but to https:, where no checksum is expected: it
# follows a redirect wherever it leads.
stayed() {
  [ -z "$expected" ] || return 0
  ! grep -i '^[[:space:]]*location:' "$work/said" | grep -iqv -e '^[[:space:]]*location:[[:space:]]*https://' -e '^[[:space:]]*location:[[:space:]]*/[^/]' || {
    echo 'it redirects to an address that is not encrypted: give --sha256 too' >>"$work/said"
    return 1
  }
}

sum() {
  if have sha256sum; then
    sha256sum <"$1" | cut -d ' ' -f 1
  else
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  fi
}

is_sum() {
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ ${#1} = 64 ]
}

# what FILE adds what a file is if it is a web page: many proxies answer with one.
what() {
  if head -c 1000 "$1" | LC_ALL=C grep -qi -e '<html' -e '<!doctype'; then
    echo ' (it is a web page: is there a proxy that wants a login?)'
  fi
}

# listed prints the checksums that checksums.txt has of a file, whatever ends its lines.
listed() {
  tr -d '\r' <"$work/checksums.txt" | while read -r hex file || [ -n "$hex" ]; do
    case $file in "$1" | "*$1") printf '%s\n' "$hex" | tr A-F a-f ;; esac
  done
}

# get_archive gets the archive and checks it: against the checksum that the caller expects,
# or against checksums.txt, which the caller's may also be of. With a key that must be signed.
get_archive() {
  get "$page/$name" "$work/$name" || fail "cannot get $page/$name: is there a version $version, for $os on $arch?"
  got=$(sum "$work/$name")
  is_sum "$got" || fail "the SHA-256 of $name cannot be computed: nothing was installed"
  if [ "$got" = "$expected" ] && [ -z "$signer" ]; then return; fi
  get "$page/checksums.txt" "$work/checksums.txt" || fail "cannot get $page/checksums.txt; $name has the SHA-256 $got${expected:+, not $expected}"
  check_signature
  [ "$got" != "$expected" ] || expected=
  if [ -n "$expected" ]; then
    list=$(sum "$work/checksums.txt")
    [ "$list" = "$expected" ] ||
      fail "$name has the SHA-256 $got$(what "$work/$name") and checksums.txt $list$(what "$work/checksums.txt"): neither has $expected, so nothing was installed"
  fi
  wanted=$(listed "$name")
  is_sum "$wanted" || fail "$page/checksums.txt has no checksum of $name$(what "$work/checksums.txt")"
  [ "$got" = "$wanted" ] ||
    fail "$name has the SHA-256 $got$(what "$work/$name"), and checksums.txt wants $wanted: nothing was installed"
}

# check_signature has ssh-keygen say whether the key has signed checksums.txt, for a release.
check_signature() {
  [ -n "$signer" ] || return 0
  get "$page/checksums.txt.sig" "$work/checksums.txt.sig" || fail "cannot get $page/checksums.txt.sig, the signature of the release: nothing was installed"
  printf 'fnb namespaces="fnb-release" %s\n' "$signer" >"$work/signers"
  ssh-keygen -Y verify -f "$work/signers" -I fnb -n fnb-release -s "$work/checksums.txt.sig" <"$work/checksums.txt" >/dev/null 2>&1 ||
    fail "checksums.txt of $version is not signed by the key$(what "$work/checksums.txt.sig"): nothing was installed"
}

# unpack reads the program out of the archive, and nothing else: no path, link or mode in an
# archive has any effect here.
unpack() {
  case $kind in
  zip) unzip -Z1 "$work/$name" >"$work/list" 2>/dev/null ;;
  *) tar -tzf - <"$work/$name" >"$work/list" 2>/dev/null ;; # by name, host:file would be another machine's
  esac || fail "$name is no archive that can be read: nothing was installed"
  while IFS= read -r path; do
    case /$path/ in //* | */../*) fail "$name has a path that leads out of it: nothing was installed" ;; esac
  done <"$work/list"
  [ "$(grep -cxF "$program" "$work/list")" = 1 ] || fail "$name does not have the program $program once, at its top: nothing was installed"
  case $kind in
  zip) unzip -p "$work/$name" "$program" >"$work/$program" 2>/dev/null ;;
  *) tar -xzOf - "$program" <"$work/$name" >"$work/$program" 2>/dev/null ;;
  esac || fail "$name is no archive that can be read: nothing was installed"
  chmod 0755 "$work/$program"
  ask_version || fail "the program in $name does not run here: nothing was installed (may $to hold programs?)"
  said=$(cat "$work/version")
  case ${said#fnb } in
  "$version" | "v$version") ;;
  *) fail "the program in $name says that it is another version: nothing was installed" ;;
  esac
}

# ask_version has the program say its version. Where there is a timeout, none hangs.
ask_version() {
  set -- "$work/$program" version
  ! have timeout || set -- timeout 60 "$@"
  "$@" </dev/null >"$work/version" 2>/dev/null
}

advise() {
  case :$PATH: in
  *:"$to":*)
    first=$(command -v fnb) || return 0
    [ "$first" = "$to/$program" ] || say "another fnb comes first: $first"
    ;;
  *) say "to have it found, type: export PATH=\"$to:\$PATH\"" ;;
  esac
}

main "$@"
