package ci

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"fnb/internal/lazyregexp"
	"fnb/origin"
)

// A Source is where a pipeline gets fnb from, and the checksum that it must have. The zero value
// leaves both to variables of the repository.
type Source struct {
	Address  string // of the program, or of the page of a release; "" is told when the pipeline runs
	SHA256   string // of the program, or of the release's checksums.txt
	Released bool   // Address is the page of a release
}

// ReleasePage is what the address of a release's page ends in: its version, which the names of its
// archives have.
var ReleasePage = lazyregexp.New(`/v[0-9][0-9A-Za-z.-]*$`)

// Variable is the variable of a pipeline that has the address.
func (s Source) Variable() string {
	if s.Released {
		return "FNB_RELEASE"
	}
	return "FNB_URL"
}

// Param is the parameter of a pipeline that has the address.
func (s Source) Param() string {
	return strings.ReplaceAll(strings.ToLower(s.Variable()), "_", "-")
}

// What says what the address is of, and what the checksum.
func (s Source) What() string {
	if s.Released {
		return "The release of fnb, and the SHA-256 of its checksums.txt"
	}
	return "The program and its checksum"
}

// Setup is the shell script that gets fnb.
func (s Source) Setup() (string, error) {
	file := "pipelines/setup-url.sh"
	if s.Released {
		file = "pipelines/setup-release.sh"
	}
	script, err := files.ReadFile(file)
	return string(script), err
}

// maxChecksums is how many bytes the checksums of a release may have.
const maxChecksums = 1 << 16

// Checksums asks the page of a release for its checksums.txt, and returns the SHA-256 of that. It is
// an error if it has no archive for Linux.
func Checksums(ctx context.Context, page string) (string, error) {
	address := page + "/checksums.txt"
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: origin.NewGuard(transport, net.Dialer{}), CheckRedirect: onlyHTTPS}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("reading the checksums of fnb: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("reading %s: the server answers %s", address, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxChecksums+1))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", address, err)
	}
	archive := fmt.Sprintf("fnb_%s_linux_amd64.tar.gz", strings.TrimPrefix(path.Base(page), "v"))
	if len(data) > maxChecksums || !lists(data, archive) {
		return "", fmt.Errorf("reading %s: it has no checksum of %s", address, archive)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func onlyHTTPS(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != "https" || len(via) >= 10 {
		return http.ErrUseLastResponse
	}
	return nil
}

// lists reports whether checksums have a line for a file.
func lists(checksums []byte, file string) bool {
	for lines := bufio.NewScanner(bytes.NewReader(checksums)); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		if raw, err := hex.DecodeString(sum); name == file && err == nil && len(raw) == sha256.Size {
			return true
		}
	}
	return false
}
