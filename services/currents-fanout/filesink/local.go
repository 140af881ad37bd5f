package filesink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// createFile makes a file with contents at once, or returns [errPresent]. The contents come to disk
// under another name first, and a hard link then gives them the right one: the only step of a POSIX
// file system that is both whole and refused where something is already.
func createFile(path, root string, data []byte) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	f, err := os.CreateTemp(folder, filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("creating a file: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	switch err := os.Link(f.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("creating %s: %w", filepath.Base(path), errPresent)
	case errors.Is(err, syscall.EPERM), errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("creating %s: the file system has no hard links: %w", filepath.Base(path), err)
	case err != nil:
		return fmt.Errorf("creating %s: %w", filepath.Base(path), err)
	}
	return syncFolders(path, root)
}

// syncFolders makes that a file's name outlives a power cut: its folder's entry, and those of the
// folders above up to root, any of which may be new.
func syncFolders(path, root string) error {
	for folder := filepath.Dir(path); strings.HasPrefix(folder, root); folder = filepath.Dir(folder) {
		f, err := os.Open(folder)
		if err != nil {
			return fmt.Errorf("opening a folder: %w", err)
		}
		err = f.Sync()
		f.Close()
		if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("syncing a folder: %w", err)
		}
		if folder == root || folder == filepath.Dir(folder) {
			return nil
		}
	}
	return nil
}

// sweep removes what a killed process left of a file that it was writing. The name of such a rest is
// the file's with something behind, so that no reader's *.parquet has it.
func sweep(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweeping a folder: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(path)+".") && strings.HasSuffix(e.Name(), ".tmp") {
			if err := os.Remove(filepath.Join(filepath.Dir(path), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("sweeping a folder: %w", err)
			}
		}
	}
	return nil
}
