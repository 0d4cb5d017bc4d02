# How the handler's packages are found; read with "." where it is. Sets $module,
# the path of its own package.

# A vendor folder of the time before modules. So is a handler of that time: it is
# built below GOPATH, as OpenFaaS's templates do.
if [ -d vendor ] && [ ! -f vendor/modules.txt ]; then
    export GO111MODULE=off
    module=handler/function
else
    module=$(GOWORK=off go list -m) || exit 1
fi

# OpenFaaS's modules of two types are the same ones here, so that a build does not
# depend on whether they can be had. A handler's own copy or replacement goes first.
for sdk in github.com/openfaas/templates-sdk/go-http github.com/openfaas-incubator/go-function-sdk; do
    if [ -f vendor/modules.txt ] || [ -d "vendor/$sdk" ] || ! grep -qsF "$sdk" go.mod ./*.go; then
        continue
    elif [ "$GO111MODULE" = off ]; then
        mkdir -p "$(go env GOPATH)/src/$sdk" && cp /src/sdk/handler.go "$(go env GOPATH)/src/$sdk"
    elif ! grep -qF "$sdk " go.mod || ! grep -F "$sdk " go.mod | grep -qF '=>'; then
        grep -qF "$sdk " go.mod || go mod edit -require="$sdk@v0.0.0"
        go mod edit -replace="$sdk=/src/sdk"
    fi
done
