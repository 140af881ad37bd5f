package filesink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// objects is what the sink needs of a bucket. Keys are within the prefix.
type objects interface {
	// get reads an object whole; [errAbsent] when there is none.
	get(ctx context.Context, key string) ([]byte, error)
	// create writes an object if there is none, else it changes nothing and returns [errPresent].
	create(ctx context.Context, key string, data []byte) error
	// put writes an object, or writes it anew: readers see the old one or the new one, never a part.
	put(ctx context.Context, key string, data []byte) error
	// remove makes that there is no such object.
	remove(ctx context.Context, key string) error
	// list names the objects that begin with a prefix and sort behind another name, in ascending order,
	// until more says no.
	list(ctx context.Context, prefix, after string, more func(key string) bool) error
	close() error
}

var (
	errAbsent  = errors.New("no such object")
	errPresent = errors.New("the object exists")
)

// bucket is objects in a blob.Bucket.
type bucket struct {
	blobs   *blob.Bucket
	dir     string // where file:// is; empty for a cloud
	prefix  string // empty, or ends with a slash
	timeout time.Duration
}

// mostRead bounds what is read of an object: an intent names its files, of which there are hundreds.
const mostRead = 64 << 20

// partSize bounds the memory of an upload, which the drivers take in buffers of this size. S3 has it
// that none but the last is smaller.
const partSize = 5 << 20

func (b *bucket) get(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	r, err := b.blobs.NewReader(ctx, b.prefix+key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("reading %s: %w", key, errAbsent)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, mostRead+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	if len(data) > mostRead {
		return nil, fmt.Errorf("reading %s: more than %d bytes", key, mostRead)
	}
	return data, nil
}

func (b *bucket) create(ctx context.Context, key string, data []byte) error {
	if b.dir != "" {
		// Not the driver's IfNotExist, which for files looks and then renames: two could do both at once.
		return createFile(filepath.Join(b.dir, filepath.FromSlash(b.prefix+key)), b.dir, data)
	}
	err := b.write(ctx, key, data, true)
	if gcerrors.Code(err) == gcerrors.FailedPrecondition {
		return fmt.Errorf("creating %s: %w", key, errPresent)
	}
	return err
}

func (b *bucket) put(ctx context.Context, key string, data []byte) error {
	return b.write(ctx, key, data, false)
}

func (b *bucket) write(ctx context.Context, key string, data []byte, create bool) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	var file *os.File
	w, err := b.blobs.NewWriter(ctx, b.prefix+key, &blob.WriterOptions{
		ContentType:    contentType(key),
		BufferSize:     partSize,
		MaxConcurrency: 2,
		IfNotExist:     create,
		BeforeWrite: func(as func(any) bool) error {
			if b.dir != "" {
				as(&file)
			}
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	_, err = w.Write(data)
	if err == nil && file != nil {
		err = file.Sync()
	}
	if err != nil {
		cancel() // so that closing does not make a part of it visible
	}
	if closing := w.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	if b.dir != "" {
		return syncFolders(filepath.Join(b.dir, filepath.FromSlash(b.prefix+key)), b.dir)
	}
	return nil
}

func contentType(key string) string {
	switch path.Ext(key) {
	case "." + formatParquet:
		return "application/vnd.apache.parquet"
	case "." + formatAvro:
		return "application/avro"
	}
	return "application/json"
}

func (b *bucket) remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	err := b.blobs.Delete(ctx, b.prefix+key)
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("removing %s: %w", key, err)
	}
	return nil
}

func (b *bucket) list(ctx context.Context, prefix, after string, more func(string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	it := b.blobs.List(&blob.ListOptions{
		Prefix: b.prefix + prefix,
		BeforeList: func(as func(any) bool) error {
			if after != "" {
				startBehind(as, b.prefix+after)
			}
			return nil
		},
	})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("listing %s: %w", prefix, err)
		}
		key := strings.TrimPrefix(o.Key, b.prefix)
		if o.IsDir || key <= after {
			continue
		}
		if !more(key) {
			return nil
		}
	}
}

func (b *bucket) close() error {
	if err := b.blobs.Close(); err != nil {
		return fmt.Errorf("closing the bucket: %w", err)
	}
	return nil
}
