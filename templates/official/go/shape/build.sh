# Compiles the function into /out/app: sh build.sh release|debug
set -e
case "$TARGETARCH" in
arm) export GOARM="${TARGETVARIANT#v}" ;;
amd64) export GOAMD64="${TARGETVARIANT:-v1}" ;;
esac
. /src/modules.sh
export GOOS="$TARGETOS" GOARCH="$TARGETARCH"
/mnt/shape/shape /mnt/entry _entrypoint "$module"
mkdir -p /out/app
case "$1" in
debug) set -- '-gcflags=all=-N -l' ;; # a debugger sees each line and variable, and files where they are
*) set -- -trimpath '-ldflags=-s -w -buildid=' ;;
esac
go build "$@" -buildvcs=false -o /out/app/handler ./_entrypoint
if [ -d static ]; then
    cp -R static /out/app/static
    mkdir /out/app/function
    ln -s ../static /out/app/function/static
fi
