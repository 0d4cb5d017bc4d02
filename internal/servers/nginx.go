package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// NginxOptions say how nginx stands before a registry.
type NginxOptions struct {
	// Prefix is the first part of the names of all repositories, which nginx takes
	// off: nothing else passes, and not "/v2/" either. "" lets everything through.
	Prefix string
	// TLS, when set, is ended by nginx, which does not tell the registry of it.
	TLS *Certs
	// Blobs, when set, is the address where blobs are fetched.
	Blobs string
}

// NginxFor puts nginx before a registry for one test, and returns its address, with
// the prefix.
func NginxFor(tb testing.TB, reg *Registry, opts NginxOptions) string {
	tb.Helper()
	bin, err := exec.LookPath("nginx")
	Require(tb, "registries", err)
	port, err := FreePorts(1)
	if err != nil {
		tb.Fatal(err)
	}
	host := net.JoinHostPort("127.0.0.1", port)
	dir := tb.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(nginxConfig(dir, host, reg.Host, opts)), 0o600); err != nil {
		tb.Fatal(err)
	}
	p, err := startProcess("nginx", exec.CommandContext(context.WithoutCancel(tb.Context()), bin, "-p", dir, "-c", conf, "-e", "stderr"))
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, func() error { return p.stop(10 * time.Second) })
	if err := awaitPort(tb.Context(), host); err != nil {
		tb.Fatalf("%v\n%s", err, p.log)
	}
	if opts.Prefix != "" {
		return host + "/" + opts.Prefix
	}
	return host
}

// awaitPort waits until something takes connections.
func awaitPort(ctx context.Context, address string) error {
	var dialer net.Dialer
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("waiting for %s: %w", address, err)
		}
	}
}

func nginxConfig(dir, listen, backend string, opts NginxOptions) string {
	tls, blobs := "", ""
	if opts.TLS != nil {
		tls = fmt.Sprintf("ssl_certificate %q; ssl_certificate_key %q;", opts.TLS.ServerCert, opts.TLS.ServerKey)
		listen += " ssl"
	}
	if opts.Blobs != "" {
		blobs = fmt.Sprintf("if ($request_method = GET) { set $from $uri; }\n      if ($from ~ /blobs/sha256:) { return 307 http://%s$request_uri; }", opts.Blobs)
	}
	path, other := "/v2/", ""
	if opts.Prefix != "" {
		path, other = "/v2/"+opts.Prefix+"/", "location / { return 404; }"
	}
	return fmt.Sprintf(`daemon off;
user root; # where root starts it: it reads and writes what is root's
pid %[1]s/pid;
error_log stderr;
worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  gzip on;
  gzip_types *;
  server {
    listen %[2]s;
    %[3]s
    client_max_body_size 0;
    location %[4]s {
      set $from "";
      %[5]s
      proxy_pass http://%[6]s/v2/;
      proxy_set_header Host $http_host;
      proxy_redirect ~^((?:http://[^/]+)?)/v2/(.*)$ $1%[4]s$2;
    }
    %[7]s
  }
}
`, dir, listen, tls, path, blobs, backend, other)
}
