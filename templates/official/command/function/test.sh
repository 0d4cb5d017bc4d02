#!/bin/sh
# Runs with: fnb build --test
set -eu
answer=$(echo hi | cat)
[ "$answer" = hi ]
