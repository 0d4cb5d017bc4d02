package servers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"fnb/internal/servers/debroot"
	"fnb/internal/servers/layertar"
)

// serviceStandins are the stand-ins for images that functions use beside them.
func serviceStandins() []standin {
	debian := []string{"PATH=" + systemPath}
	return []standin{
		{
			ref: "docker.io/library/postgres:17", layers: []string{"trixie", "servers", "postgres"},
			env: []string{"PATH=/usr/lib/postgresql/17/bin:" + systemPath, "PGDATA=/var/lib/postgresql/data"},
			cmd: []string{"postgres"}, what: "Debian trixie with Debian's PostgreSQL 17",
		},
		{
			ref: "docker.io/library/redis:8", layers: []string{"trixie", "servers"}, env: debian, dir: "/data",
			cmd: []string{"redis-server", "--protected-mode", "no"}, what: "Debian trixie with Debian's Redis 8",
		},
		{
			ref: "docker.io/library/nats:2.10", layers: []string{"trixie", "servers"}, env: debian,
			cmd: []string{"nats-server"}, what: "Debian trixie with Debian's NATS server 2.10",
		},
	}
}

// A start is what the image of a service says of how it is started and ended.
type start struct {
	entrypoint     []string
	volumes, ports map[string]struct{}
	stop           string
}

// started is how a stand-in is started and ended, as the image that it stands in for says.
func (s standin) started() start {
	set := func(name string) map[string]struct{} { return map[string]struct{}{name: {}} }
	switch {
	case strings.Contains(s.ref, "/postgres:"):
		return start{entrypoint: []string{"docker-entrypoint.sh"}, volumes: set("/var/lib/postgresql/data"), ports: set("5432/tcp"), stop: "SIGINT"}
	case strings.Contains(s.ref, "/redis:"):
		return start{volumes: set("/data"), ports: set("6379/tcp")}
	case strings.Contains(s.ref, "/nats:"):
		return start{ports: set("4222/tcp")}
	}
	return start{}
}

// unused are files that come with services and that they do not need here: what compiles
// queries to machine code, and Debian's programs around PostgreSQL's.
func unused(name string) bool {
	for _, part := range []string{"/llvm", "libLLVM", "/libz3.", "/perl", "/bitcode/", "usr/share/postgresql-common"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return !strings.HasPrefix(name, "usr/")
}

// writeServers writes servers of Debian trixie beyond its plain root. Their packages are taken
// apart and not installed, which needs no time.
func (m *standinMaker) writeServers(ctx context.Context, w *layertar.Writer) error {
	base, err := m.suiteRoot(ctx, trixie)
	if err != nil {
		return err
	}
	full := filepath.Join(m.dir, "roots", "servers-"+m.arch+".tar")
	err = debroot.Run(ctx, nil, "--format=tar", "--variant=extract", "--include=postgresql-17,redis-server,nats-server", trixie, full)
	if err == nil {
		w.Leave = unused
		err = w.CopyDifference(base, full)
	}
	if err := errors.Join(err, os.RemoveAll(full)); err != nil {
		return err
	}
	return errors.Join(m.addUser(ctx, w, trixie, "postgres"), w.Dir("data", 0o755, 0))
}

// writePostgres writes how PostgreSQL is started.
func writePostgres(w *layertar.Writer) error {
	return w.File("usr/local/bin/docker-entrypoint.sh", 0o755, []byte(postgresScript))
}

// postgresScript does what the entrypoint of Docker's image does, as far as the tests see it.
const postgresScript = `#!/bin/sh
set -e
case ${1:--} in -*) set -- postgres "$@" ;; esac
if [ "$1" != postgres ]; then exec "$@"; fi
if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA" /run/postgresql
	chown postgres "$PGDATA" /run/postgresql
	chmod 700 "$PGDATA"
	exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
		echo "Error: Database is uninitialized and superuser password is not specified." >&2
		exit 1
	fi
	user=${POSTGRES_USER:-postgres}
	echo "$POSTGRES_PASSWORD" >/tmp/password
	initdb --username="$user" --pwfile=/tmp/password --auth-host=scram-sha-256 --auth-local=trust --no-instructions --no-sync $POSTGRES_INITDB_ARGS
	rm /tmp/password
	echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
	db=${POSTGRES_DB:-$user}
	if [ "$db" != postgres ]; then echo "CREATE DATABASE \"$db\"" | postgres --single postgres >/dev/null; fi
fi
exec "$@"
`
