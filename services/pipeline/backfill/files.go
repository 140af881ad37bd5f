package backfill

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// file is a file to be read.
type file struct {
	path string
	size int64
	hour string // in which Braze queued its events, where the path says so
}

// find lists the files of a path: itself, or everything below it that ends in .avro. Those of one hour come
// together, whatever their type, so that what a customer did stands on the topic in about its order.
func find(path string) ([]file, error) {
	roots, err := filepath.Glob(path)
	if err != nil {
		return nil, fmt.Errorf("%q is no path and no pattern: %w", path, err)
	}
	if _, err := os.Stat(path); err == nil {
		roots = []string{path} // brackets may stand in names
	}
	var files []file
	for _, root := range roots {
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || p != root && filepath.Ext(p) != ".avro" {
				return err
			}
			info, err := os.Stat(p) // of what a link points to
			if err != nil || !info.Mode().IsRegular() {
				return err
			}
			files = append(files, file{p, info.Size(), hourOf(p)})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", root, err)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no Avro file at %s", path)
	}
	slices.SortFunc(files, func(a, b file) int { return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.path, b.path)) })
	return slices.CompactFunc(files, func(a, b file) bool { return a.path == b.path }), nil
}

// hourOf is the segment date=YYYY-MM-DD-HH of a path (braze-docs: event_delivery_semantics).
func hourOf(path string) string {
	for part := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if hour, ok := strings.CutPrefix(part, "date="); ok {
			return hour
		}
	}
	return ""
}
