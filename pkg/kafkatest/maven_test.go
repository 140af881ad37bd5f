package kafkatest

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestUnpackWritesFilesUnderItsFolderAndNowhereElse(t *testing.T) {
	for _, tc := range []struct {
		name, entry string
		refused     bool
	}{
		{name: "a file in a folder", entry: "lib/a.jar"},
		{name: "a file that would climb out", entry: "../a.jar", refused: true},
		{name: "a file with an absolute path", entry: "/a.jar", refused: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "app")
			err := unpack(archiveOf(t, tc.entry), dir)
			if tc.refused {
				if err == nil {
					t.Error("unpacked")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(filepath.Join(dir, tc.entry)); string(b) != "content" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// archiveOf is the path of a gzipped tar with one file.
func archiveOf(t *testing.T, entry string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.tar.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	const content = "content"
	err = w.WriteHeader(&tar.Header{Name: entry, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(content))})
	_, werr := w.Write([]byte(content))
	if err := errors.Join(err, werr, w.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWithoutMavenTheErrorSaysWhatIsMissing(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	_, err := kafkaJars(t.Context(), "4.3.1", func(string) {})
	if want := "fetching the jars of kafka 4.3.1: no Maven, and not cached"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
