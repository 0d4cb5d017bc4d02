package buildertest

import (
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"fnb/builder"
	"fnb/internal/fixture"
	"fnb/schema"
)

// Soon is much less than the steps of these tests take, and much more than a busy
// machine needs to end them.
const Soon = time.Minute

// Everything is a function that uses what the paths of a build context could
// treat differently: links, modes, empty folders, names, and times that steps
// can see.
func Everything(t *testing.T) fstest.MapFS {
	t.Helper()
	m := fixture.Files("Dockerfile", SmallBase(t)+`WORKDIR /home/app
COPY ctx /home/app/context/
RUN ls -lnR --time-style=+%s.%N context >listing && chmod 700 listing && date +%s%N >/gone && rm /gone
RUN mkdir -p /var/lib/new /tmp/x && ln -s new /var/lib/old && echo someone:x:1000:1000::/:/bin/sh >/etc/passwd && date >/dev/null
USER someone
CMD ["cat"]
`, "ctx/handler/main.py", "print()", "ctx/run.sh*", "#!/bin/sh", "ctx/a/b-c/d", "1", "ctx/a/b/c", "2", "ctx/zoë and space", "3", "ctx/empty", "")
	m["ctx/a/link"] = &fstest.MapFile{Data: []byte("../run.sh"), Mode: fs.ModeSymlink | 0o777}
	m["ctx/dangling"] = &fstest.MapFile{Data: []byte("/no/such"), Mode: fs.ModeSymlink | 0o777}
	m["ctx/nothing-in-it"] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
	return m
}

// DigestOf is the digest of the image that a builder makes.
func DigestOf(t *testing.T, c *builder.Client, fsys fs.FS, w builder.Watchdog) string {
	t.Helper()
	return Solve(t, c, builder.Request{
		Name: "everything", Context: fsys, Platforms: ThreePlatforms()[:1], Watchdog: w,
		Config: schema.ImageConfig{Entrypoint: []string{"/usr/bin/fwatchdog"}, Labels: map[string]string{"a": "b", "c": "d"}, Env: map[string]string{"x": "y"}},
		Output: builder.Output{Push: []string{RegistryHost(t) + "/same/digest:1"}, PlainHTTP: true},
	}).Digest
}

// ThreePlatforms are those of most images.
func ThreePlatforms() []schema.Platform {
	return []schema.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "arm64"},
		{OS: "linux", Architecture: "arm", Variant: "v7"},
	}
}
