package pgtest

import (
	"archive/tar"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnpackTakesTheProgramsAndMakesTheLinks(t *testing.T) {
	dir := t.TempDir()
	archive := filepath.Join(dir, "package.tgz")
	writeArchive(t, archive, [][2]string{
		{"package/package.json", "{}"},
		{"package/native/bin/postgres", "program"},
		{"package/native/lib/libz.so.1.2", "library"},
		{"package/native/lib/libpq.a", "only for linking"},
		{"package/native/lib/postgresql/pgxs/config/missing", "only for building"},
		{"package/native/share/a.sql", "text"},
		{"package/native/pg-symlinks.json", `[{"source":"native/lib/libz.so.1.2","target":"native/lib/libz.so.1"},{"source":"native/lib/libz.so.1.2","target":"native/lib/libz.so.1"}]`},
	})
	made := filepath.Join(dir, "made")
	if err := unpack(archive, made); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err := filepath.WalkDir(made, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, _ := d.Info()
			content, _ := os.ReadFile(path)
			rel, _ := filepath.Rel(made, path)
			got[rel] = info.Mode().String() + " " + string(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"bin/postgres":    "-rwxr-xr-x program",
		"lib/libz.so.1.2": "-rw-r--r-- library",
		"lib/libz.so.1":   "Lrwxrwxrwx library",
		"share/a.sql":     "-rw-r--r-- text",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestUnpackWritesNothingOutsideItsFolder(t *testing.T) {
	for name, files := range map[string][][2]string{
		"by a path": {{"package/native/../../../outside", "x"}},
		"by a link": {{"package/native/pg-symlinks.json", `[{"source":"native/lib/x","target":"native/../../outside"}]`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			archive := filepath.Join(dir, "package.tgz")
			writeArchive(t, archive, files)
			err := unpack(archive, filepath.Join(dir, "made"))
			if _, statErr := os.Lstat(filepath.Join(dir, "outside")); !os.IsNotExist(statErr) {
				t.Errorf("it was written; unpacking said %v", err)
			}
		})
	}
}

// An empty cache and a PATH without npm are a machine that cannot have a server.
func TestWithoutAServerATestEndsLoudly(t *testing.T) {
	for _, c := range []struct{ name, ci, want string }{
		{"skipped on a developer's machine", "", "skip: NOT RUN, NEEDS A REAL POSTGRESQL: fetching postgres 0.0.1: no npm, and not cached"},
		{"failed in CI", "true", "fatal: REAL POSTGRESQL IS MISSING, and CI=true: fetching postgres 0.0.1: no npm, and not cached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			t.Setenv("PATH", t.TempDir())
			t.Setenv("HOME", t.TempDir())
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			t.Setenv(EnvVersion, "0.0.1")
			end := &ending{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				StartFor(end)
			}()
			<-done
			if end.how != c.want {
				t.Errorf("it ended with %q, want %q", end.how, c.want)
			}
		})
	}
}

func TestWithChangesOnlyWhatIsSaid(t *testing.T) {
	for _, c := range []struct{ dsn, role, database, want string }{
		{"postgres://postgres@/postgres?host=%2Ftmp%2Fx", "reader", "", "postgres://reader@/postgres?host=%2Ftmp%2Fx"},
		{"postgres://u:secret@h:1/a?sslmode=disable", "", "b", "postgres://u:secret@h:1/b?sslmode=disable"},
		{"host=/tmp/x user=a", "reader", "b", "host=/tmp/x user=a user=reader dbname=b"},
	} {
		if got := With(c.dsn, c.role, c.database); got != c.want {
			t.Errorf("With(%q, %q, %q) = %q, want %q", c.dsn, c.role, c.database, got, c.want)
		}
	}
}

// ending stands in for a test and remembers how it was ended.
type ending struct {
	testing.TB
	how string
}

func (e *ending) Helper()           {}
func (e *ending) Log(...any)        {}
func (e *ending) Fatal(args ...any) { e.end("fatal: ", args) }
func (e *ending) Skip(args ...any)  { e.end("skip: ", args) }

func (e *ending) end(how string, args []any) {
	first, ok := args[0].(string)
	if !ok {
		first = args[0].(error).Error()
	}
	e.how = how + strings.TrimSpace(first)
	runtime.Goexit()
}

func writeArchive(t *testing.T, path string, files [][2]string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	for _, file := range files {
		if err := w.WriteHeader(&tar.Header{Name: file[0], Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(file[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}
