// Package schemas holds the contract with the outside: the Avro schemas of every topic, one folder a
// record type, one numbered file a version. A released version is never edited; a new one only adds
// fields that may be null. CHANGELOG.md tells readers of the topics what changed.
//
// It is a module of its own because go:embed cannot climb out of a folder.
package schemas

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// FS holds <record type>/v<version>.avsc.
//
//go:embed */v*.avsc
var FS embed.FS

// Types lists the record types, sorted: "braze.deliveries", "customer.events", …
func Types() []string {
	entries, err := FS.ReadDir(".")
	if err != nil {
		panic(err) // an embedded folder cannot be missing
	}
	types := make([]string, len(entries))
	for i, e := range entries {
		types[i] = e.Name()
	}
	return types
}

// Versions returns the texts of a record type, oldest first: the text of version n is at n-1.
func Versions(recordType string) ([]string, error) {
	entries, err := fs.ReadDir(FS, recordType)
	if err != nil {
		return nil, fmt.Errorf("listing versions of %q: %w", recordType, err)
	}
	numbers := make([]int, len(entries))
	for i, e := range entries {
		if numbers[i], err = strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(e.Name(), "v"), ".avsc")); err != nil {
			return nil, fmt.Errorf("reading version of %q: %w", path.Join(recordType, e.Name()), err)
		}
	}
	slices.Sort(numbers)
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		if n != i+1 {
			return nil, fmt.Errorf("versions of %q: want v%d, have v%d", recordType, i+1, n)
		}
		text, err := fs.ReadFile(FS, path.Join(recordType, fmt.Sprintf("v%d.avsc", n)))
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", recordType, err)
		}
		texts[i] = string(text)
	}
	return texts, nil
}

// Latest returns the newest text of a record type. It panics for a type that does not exist, which
// only a typo in our own code can cause.
func Latest(recordType string) string {
	texts, err := Versions(recordType)
	if err != nil || len(texts) == 0 {
		panic(fmt.Sprintf("schemas: no record type %q: %v", recordType, err))
	}
	return texts[len(texts)-1]
}
