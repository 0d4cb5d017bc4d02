package containers_test

import (
	"strings"
	"testing"
	"time"

	"fnb/builder/buildertest"
	"fnb/internal/fixture"
)

// TestReadOnly runs a container whose files cannot be changed, as a user that the image does not know.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	script := `id -u; id -g
for f in /f.sh /usr/x /work/x /etc/x /x /tmp/x; do
  if echo hi 2>/dev/null >$f; then echo "wrote $f"; fi
done
cat /var/openfaas/secrets/whom /tmp/x`
	c, req := buildertest.Stock(t), function(t, "")
	req.Build.Context = fixture.Files("Dockerfile", buildertest.SmallBase(t)+"COPY f.sh /f.sh\nRUN mkdir -p /etc /work /var && chmod 777 /f.sh /usr /work\nUSER 1000\n", "f.sh", script)
	req.Secrets = map[string][]byte{"whom": []byte("world\n")}
	req.Service.User, req.Service.ReadOnly = "54321:0", true
	r := running(t, c, req)
	if err := r.Ready(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	answer, err := ask(t.Context(), r, "")
	if want := "54321\n0\nwrote /tmp/x\nworld\nhi\n"; err != nil || answer != want {
		t.Errorf("%q %v, want %q\n%s", answer, err, want, strings.Join(r.Tail(), "\n"))
	}
}
