#!/bin/sh
# Runs with: fnb test
set -eu
answer=$(echo hi | cat)
[ "$answer" = hi ]
