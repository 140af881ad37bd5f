package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// cacheDir is a folder of ours in the user's cache folder, so that a fresh clone fetches nothing again.
func cacheDir(elem ...string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w", err)
	}
	return filepath.Join(append([]string{base, "sluice"}, elem...)...), nil
}

// cached makes sure that path exists, a file or a folder. Where it does not, fill makes it somewhere in the temporary
// folder it is given and returns where; only then does it get its name, so what is cached is complete. Processes that
// want the same path at once wait for the first.
func cached(ctx context.Context, path string, fill func(tmp string) (made string, err error)) error {
	if exists(path) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if exists(path) { // another process was first
		return nil
	}

	// We hold the lock, so what lies about under this name was left by a process that died.
	left, _ := filepath.Glob(path + ".tmp-*")
	for _, dir := range left {
		_ = os.RemoveAll(dir)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+".tmp-")
	if err != nil {
		return fmt.Errorf("making a temporary folder in the cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	made, err := fill(tmp)
	if err != nil {
		return err
	}
	if err := os.Rename(made, path); err != nil {
		return fmt.Errorf("moving into the cache: %w", err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lockFile takes an exclusive lock that the kernel gives back when the process ends, however it ends.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	err = poll(ctx, 100*time.Millisecond, func(context.Context) error {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return hopelessError{err}
		}
		return err
	})
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("waiting for the lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil // closing releases; the file stays, for another may be waiting on it
}
