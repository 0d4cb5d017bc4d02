# room.sh REGISTER: the first process of the namespaces. It has the kernel know a kind of program, and stays
# until its standard input ends.
set -e
mount -t proc proc /proc
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
cat "$1" >/proc/sys/fs/binfmt_misc/register
echo ready
read -r _ || true
