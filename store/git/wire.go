package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"

	"fnb/internal/plain"
)

// The two services of a git server.
const (
	toRead  = "git-upload-pack"
	toWrite = "git-receive-pack"
)

// A wire carries version 0 of git's protocol to one repository: by HTTP, SSH or git's
// own. What is said on it is go-git's to read and to write.
type wire interface {
	// hello asks for a service. The answer begins with its references.
	hello(ctx context.Context, service string) (io.ReadCloser, error)
	// ask sends a question of so many bytes to the service, and returns the answer.
	ask(ctx context.Context, service string, question io.Reader, size int) (io.ReadCloser, error)
	// said is what the server has said beside that, once it has ended.
	said() string
	close() error
}

// What a server that was reached does not have.
var (
	errNoRepository = errors.New("the server has no such repository")
	errEmpty        = errors.New("the repository is empty")
	errNoObjects    = errors.New("the server has sent nothing")
)

// A FormatError says that a repository names its objects in a way that fnb does not read.
type FormatError struct {
	URL    string // without credentials
	Format string // such as "sha256"
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: %s repositories are not supported", e.URL, e.Format)
}

// A saidError is what a git server says instead of an answer.
type saidError struct{ words string }

func (e *saidError) Error() string { return "the server says: " + plain.Short(e.words) }

// maxHeard is how much of an answer is kept, to tell what it was.
const maxHeard = 8 << 10

// headBuffer keeps the beginning of what goes by.
type headBuffer struct{ bytes.Buffer }

// Write implements [io.Writer].
func (h *headBuffer) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), max(0, maxHeard-h.Len()))])
	return len(p), nil
}

// greet reads the references that a service has.
func (r *Remote) greet(ctx context.Context, w wire) error {
	service := toRead
	if r.push {
		service = toWrite
	}
	body, err := w.hello(ctx, service)
	if err != nil {
		return err
	}
	var first headBuffer
	adv := packp.NewAdvRefs()
	err = errors.Join(adv.Decode(io.TeeReader(body, &first)), body.Close())
	if format := objectFormat(first.String()); format != "" {
		return &FormatError{URL: r.url, Format: format}
	}
	if line, ok := errors.AsType[*pktline.ErrorLine](err); ok {
		return asSaid(line.Text)
	}
	switch {
	case errors.Is(err, packp.ErrEmptyInput):
		if words := w.said(); words != "" {
			return asSaid(words)
		}
		return io.ErrUnexpectedEOF
	case errors.Is(err, packp.ErrEmptyAdvRefs):
		err = nil
	}
	if err != nil {
		return err
	}
	if !r.push && adv.IsEmpty() {
		return errEmpty
	}
	r.wire, r.adv = w, adv
	return nil
}

// objectFormat is the one that the first line of an answer names, "" for git's usual.
func objectFormat(first string) string {
	_, all, _ := strings.Cut(first, "\x00")
	all, _, _ = strings.Cut(all, "\n")
	for _, word := range strings.Fields(all) {
		if f, ok := strings.CutPrefix(word, "object-format="); ok && f != "sha1" {
			return plain.Short(f)
		}
	}
	return ""
}

// asSaid tells from a server's words whether it lacks the repository, for which the
// protocol has no sign.
func asSaid(words string) error {
	missing := []string{
		"repository not found", "does not appear to be a git repository", "no such repository", "access denied or repository not exported",
		"repository does not exist", "project you were looking for could not be found", "could not read from remote repository",
	}
	if slices.ContainsFunc(missing, func(m string) bool { return strings.Contains(strings.ToLower(words), m) }) {
		return fmt.Errorf("%w: it says: %s", errNoRepository, plain.Short(words))
	}
	return &saidError{words: words}
}

// uploadPack asks for a pack of what req wants.
func (r *Remote) uploadPack(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	var question bytes.Buffer
	if err := req.UploadRequest.Encode(&question); err != nil {
		return nil, err
	}
	if err := pktline.NewEncoder(&question).EncodeString("done\n"); err != nil {
		return nil, err
	}
	body, err := r.wire.ask(ctx, toRead, &question, question.Len())
	if err != nil {
		return nil, err
	}
	var first headBuffer
	answer := packp.NewUploadPackResponse(req)
	err = answer.Decode(&teedBody{io.TeeReader(body, &first), body})
	if err == nil {
		return answer, nil
	}
	_ = body.Close() // nothing more is read
	if first.Len() == 0 {
		if words := r.wire.said(); words != "" {
			return nil, asSaid(words)
		}
		return nil, errNoObjects
	}
	if _, words, ok := strings.Cut(first.String(), "ERR "); ok {
		return nil, asSaid(words)
	}
	return nil, err
}

// A teedBody is a body that is read by way of another reader.
type teedBody struct {
	io.Reader
	io.Closer
}

// receivePack sends new objects, and returns what the server says of them.
func (r *Remote) receivePack(ctx context.Context, req *packp.ReferenceUpdateRequest, moved func(io.Reader) io.Reader) (*packp.ReportStatus, error) {
	var question bytes.Buffer
	if err := req.Encode(&question); err != nil {
		return nil, err
	}
	body, err := r.wire.ask(ctx, toWrite, moved(&question), question.Len())
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // it was only read from
	if !req.Capabilities.Supports(capability.ReportStatus) {
		_, err := io.Copy(io.Discard, io.LimitReader(body, maxHeard))
		return nil, err
	}
	answer := moved(body)
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		answer = sideband.NewDemuxer(sideband.Sideband64k, answer)
	case req.Capabilities.Supports(capability.Sideband):
		answer = sideband.NewDemuxer(sideband.Sideband, answer)
	}
	report := packp.NewReportStatus()
	if err := report.Decode(answer); err != nil {
		return nil, err
	}
	return report, nil
}
