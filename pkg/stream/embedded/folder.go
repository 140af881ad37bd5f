package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// folder is the data folder, held against other processes while it is open: two brokers writing one
// log would both be lost.
type folder struct {
	path string
	lock *os.File
	temp bool
}

// openFolder makes dir where it is missing and locks it; without a dir it makes one to be removed.
func openFolder(dir string) (*folder, error) {
	f := &folder{path: dir, temp: dir == ""}
	var err error
	if f.temp {
		if f.path, err = os.MkdirTemp("", "sluice-kafka-"); err != nil {
			return nil, fmt.Errorf("making a temporary data folder: %w", err)
		}
	} else if err = os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making the data folder: %w", err)
	}
	f.lock, err = os.OpenFile(filepath.Join(f.path, "in-use.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking the data folder: %w", err), f.close())
	}
	if err = flock(f.lock); err != nil {
		return nil, errors.Join(fmt.Errorf("locking the data folder %s (is another process using it?): %w", f.path, err), f.close())
	}
	return f, nil
}

// close gives the folder free, and removes it when it was temporary.
func (f *folder) close() error {
	var errs []error
	if f.lock != nil {
		errs = append(errs, f.lock.Close()) // which also unlocks
	}
	if f.temp {
		errs = append(errs, os.RemoveAll(f.path))
	}
	return errors.Join(errs...)
}
