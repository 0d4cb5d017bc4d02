# The entrypoint: it calls the handler, with the request on standard input.
. ./function/handler.sh
handle
