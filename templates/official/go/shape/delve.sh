# Compiles Delve into /out/dlv. DELVE_SUM is of its module, as go.sum has it; the go.sum in the
# module has those of all others.
set -e
printf 'module debugger\n' > go.mod
if [ -n "$DELVE_SUM" ]; then export GONOSUMDB='*'; fi
export GOFLAGS=
got=$(go mod download -json "github.com/go-delve/delve@v$DELVE_VERSION")
sum=$(printf %s "$got" | sed -n 's/.*"Sum": "\(.*\)".*/\1/p')
if [ -n "$DELVE_SUM" ] && [ "$sum" != "$DELVE_SUM" ]; then
    echo "delve $DELVE_VERSION has the sum $sum, not $DELVE_SUM" >&2
    exit 1
fi
cp -R "$(printf %s "$got" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')" delve
cd delve
echo "compiling Delve $DELVE_VERSION, which takes some minutes the first time"
CGO_ENABLED=0 GOOS="$TARGETOS" GOARCH="$TARGETARCH" go build -v -mod=readonly -trimpath -buildvcs=false '-ldflags=-s -w -buildid=' -o /out/dlv ./cmd/dlv
