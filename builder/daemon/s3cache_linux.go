package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A bucket is a cache in an S3 bucket, in the layout of BuildKit's type=s3.
type bucket struct {
	client *minio.Client
	name   string
	blobs  string        // before a digest
	index  []string      // names of objects; the first is read
	fresh  time.Duration // what is older is written anew when it is used again
}

// openBucket reads BuildKit's attributes of type=s3. Keys that are not given are
// those of ~/.aws/credentials, or of the role of the machine.
func openBucket(attrs map[string]string) (objects, error) {
	b := &bucket{name: attrs["bucket"], fresh: 24 * time.Hour}
	if b.name == "" || attrs["region"] == "" {
		return nil, errors.New("it needs bucket and region")
	}
	b.blobs = attrs["prefix"] + cmp.Or(attrs["blobs_prefix"], "blobs/")
	for _, name := range strings.Split(cmp.Or(attrs["name"], "buildkit"), ";") {
		b.index = append(b.index, attrs["prefix"]+cmp.Or(attrs["manifests_prefix"], "manifests/")+name)
	}
	if v := attrs["touch_refresh"]; v != "" {
		var err error
		if b.fresh, err = time.ParseDuration(v); err != nil {
			return nil, fmt.Errorf("touch_refresh=%s: %w", v, err)
		}
	}
	opts := &minio.Options{Region: attrs["region"], Secure: true, MaxRetries: 3}
	if v := attrs["retry_max_attempts"]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("retry_max_attempts=%s: it must be a number from 1", v)
		}
		opts.MaxRetries = n
	}
	host := "s3.amazonaws.com"
	if v := attrs["endpoint_url"]; v != "" {
		u, err := url.Parse(v)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("endpoint_url=%s: it must be http:// or https:// and a host", v)
		}
		host, opts.Secure = u.Host, u.Scheme == "https"
		if path, err := strconv.ParseBool(attrs["use_path_style"]); err == nil && path {
			opts.BucketLookup = minio.BucketLookupPath
		} else if err == nil {
			opts.BucketLookup = minio.BucketLookupDNS
		}
	}
	opts.Creds = credentials.NewChainCredentials([]credentials.Provider{
		&credentials.FileAWSCredentials{}, &credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second}},
	})
	if id, secret := attrs["access_key_id"], attrs["secret_access_key"]; id != "" && secret != "" {
		opts.Creds = credentials.NewStaticV4(id, secret, attrs["session_token"])
	}
	var err error
	b.client, err = minio.New(host, opts)
	return b, err
}

func (b *bucket) key(blob digest.Digest) string { return b.blobs + blob.String() }

func notInBucket(err error) bool {
	resp := minio.ToErrorResponse(err)
	return err != nil && resp.StatusCode == http.StatusNotFound && resp.Code != minio.NoSuchBucket
}

// copyLimit is what S3 copies in one request, in bytes.
const copyLimit = 5 << 30

// stat looks at a blob; nil is none.
func (b *bucket) stat(ctx context.Context, blob digest.Digest) (*minio.ObjectInfo, error) {
	info, err := b.client.StatObject(ctx, b.name, b.key(blob), minio.StatObjectOptions{})
	if notInBucket(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &info, nil
}

// has implements [objects].
func (b *bucket) has(ctx context.Context, blob digest.Digest) (bool, error) {
	info, err := b.stat(ctx, blob)
	return info != nil, err
}

// keep implements [objects]. Rules of a bucket often drop what is old; what is still in
// use is made young again.
func (b *bucket) keep(ctx context.Context, blob digest.Digest) (bool, error) {
	info, err := b.stat(ctx, blob)
	if info == nil || time.Since(info.LastModified) < b.fresh || info.Size > copyLimit {
		return info != nil, err
	}
	key := b.key(blob)
	_, err = b.client.CopyObject(ctx,
		minio.CopyDestOptions{Bucket: b.name, Object: key, ReplaceMetadata: true},
		minio.CopySrcOptions{Bucket: b.name, Object: key})
	return err == nil, err
}

// save implements [objects].
func (b *bucket) save(ctx context.Context, blob digest.Digest, from content.ReaderAt) error {
	// Of an io.ReaderAt minio would read several parts at once.
	r := struct{ io.Reader }{io.NewSectionReader(from, 0, from.Size())}
	return b.put(ctx, b.key(blob), r, from.Size())
}

func (b *bucket) put(ctx context.Context, key string, r io.Reader, size int64) error {
	_, err := b.client.PutObject(ctx, b.name, key, r, size, minio.PutObjectOptions{})
	return err
}

// get opens an object, at an offset.
func (b *bucket) get(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	var opts minio.GetObjectOptions
	if offset > 0 {
		if err := opts.SetRange(offset, 0); err != nil {
			return nil, err
		}
	}
	r, _, _, err := minio.Core{Client: b.client}.GetObject(ctx, b.name, key, opts)
	if notInBucket(err) {
		return nil, fmt.Errorf("%s: %w", key, cerrdefs.ErrNotFound)
	}
	return r, err
}

// open implements [objects].
func (b *bucket) open(ctx context.Context, blob ocispecs.Descriptor) (content.ReaderAt, error) {
	r := &streamReaderAt{size: blob.Size, open: func(offset int64) (io.ReadCloser, error) {
		return b.get(ctx, b.key(blob.Digest), offset)
	}}
	return r, r.seek(0)
}

// indexes implements [objects].
func (b *bucket) indexes(ctx context.Context) ([][]byte, error) {
	r, err := b.get(ctx, b.index[0], 0)
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err := readIndex(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return [][]byte{raw}, nil
}

// writeIndex implements [objects].
func (b *bucket) writeIndex(ctx context.Context, raw []byte) error {
	for _, key := range b.index {
		if err := b.put(ctx, key, bytes.NewReader(raw), int64(len(raw))); err != nil {
			return err
		}
	}
	return nil
}

// A streamReaderAt reads a stream that can be opened at any offset; reads that follow
// each other take one.
type streamReaderAt struct {
	size int64
	open func(offset int64) (io.ReadCloser, error)
	r    io.ReadCloser
	at   int64
}

func (s *streamReaderAt) seek(offset int64) error {
	if err := s.Close(); err != nil {
		return err
	}
	var err error
	s.r, err = s.open(offset)
	s.at = offset
	return err
}

// ReadAt implements [io.ReaderAt], for one goroutine.
func (s *streamReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	if s.r == nil || s.at != off {
		if err := s.seek(off); err != nil {
			return 0, err
		}
	}
	n, err := io.ReadFull(s.r, p)
	s.at += int64(n)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// Size implements [content.ReaderAt].
func (s *streamReaderAt) Size() int64 { return s.size }

// Close implements [io.Closer].
func (s *streamReaderAt) Close() error {
	if s.r == nil {
		return nil
	}
	r := s.r
	s.r = nil
	return r.Close()
}
