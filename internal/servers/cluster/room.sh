#!/bin/bash
# room.sh DIR runs as the first process of the namespaces, and starts and stops the programs whose
# commands are in DIR/run, by lines from standard input: "start NAME" and "stop NAME". It ends, and
# the kernel all that it has started, when nobody can write there any more.
set -euo pipefail
dir=$1

mount --make-rprivate /
mount -t proc proc /proc
# Folders of the machine in which programs have files at a fixed place.
for place in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$place"; done
mkdir /run/netns
# kubelet sets these, for the whole machine, unless it finds them set.
while read -r file value; do
  echo "$value" >"$dir/sys/${file##*/}"
  mount --bind "$dir/sys/${file##*/}" "/proc/sys/$file"
done <<'SETTINGS'
vm/overcommit_memory 1
kernel/panic 10
kernel/panic_on_oops 1
SETTINGS
ip link set lo up
ip address add "$(cat "$dir/address")/32" dev lo
ip route add default dev lo # programs look for one
echo ready

declare -A pid
while read -r verb name; do
  case $verb in
  start)
    bash "$dir/run/$name" >>"$dir/log/$name" 2>&1 </dev/null &
    pid[$name]=$!
    ;;
  stop)
    kill "${pid[$name]}"
    wait "${pid[$name]}" || true
    ;;
  esac
  echo "$verb $name"
done
