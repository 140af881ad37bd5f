// Command gendocs writes those parts of the documentation that the code knows best: the table of
// settings in each service's README, and the references of topics and of engagement events in
// schemas/TOPICS.md and schemas/ENGAGEMENTS.md. With -check it changes nothing and fails where something is
// out of date.
//
// Without -root it finds the repository from wherever it is run within it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/ingest"
	"github.com/sluicehq/sluice/services/pipeline"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
	contentcacher "github.com/sluicehq/sluice/services/content-cacher"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

func main() {
	check := flag.Bool("check", false, "change nothing; fail where something is out of date")
	root := flag.String("root", "", "the repository's `folder`; the one around this folder when empty")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	var err error
	if *root == "" {
		*root, err = repository()
	}
	if err == nil {
		err = generate(*root, *check)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

// page is a README with a table of settings, between its config:begin and config:end lines.
type page struct {
	path  string // within the repository
	table string
}

func pages() []page {
	return []page{
		{"services/attribute-sync/README.md", config.MarkdownTable[attributesync.Config]()},
		{"services/braze-sender/README.md", config.MarkdownTable[brazesender.Config]()},
		{"services/content-cacher/README.md", config.MarkdownTable[contentcacher.Config]()},
		{"services/crm-writeback/README.md", config.MarkdownTable[crmwriteback.Config]()},
		{"services/currents-fanout/README.md", config.MarkdownTable[currentsfanout.Config]()},
		{"services/ingest/README.md", config.MarkdownTable[ingest.Config]()},
		{"services/pipeline/README.md", config.MarkdownTable[pipeline.Config]()},
	}
}

// topicsPath is where the reference of topics stands.
const topicsPath = "schemas/TOPICS.md"

// generate writes everything below root, or checks it.
func generate(root string, check bool) error {
	var errs []error
	for _, p := range pages() {
		path := filepath.Join(root, filepath.FromSlash(p.path))
		if check {
			errs = append(errs, config.CheckMarkdown(path, p.table))
		} else {
			errs = append(errs, config.UpdateMarkdown(path, p.table))
		}
	}
	topics, err := topicsReference()
	if err != nil {
		return err
	}
	for _, reference := range []struct{ path, text string }{{topicsPath, topics}, {engagementsPath, engagementsReference()}} {
		errs = append(errs, whole(root, reference.path, reference.text, check))
	}
	return errors.Join(errs...)
}

// whole writes a page that is generated as a whole, or checks it.
func whole(root, page, text string, check bool) error {
	path := filepath.Join(root, filepath.FromSlash(page))
	is, err := os.ReadFile(path) //nolint:gosec // a page of this repository
	switch {
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("reading a reference: %w", err)
	case string(is) == text:
		return nil
	case check:
		return fmt.Errorf("%s is out of date; run make generate", page)
	}
	return os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // a page for everybody
}

// repository is the folder above this one that holds go.work.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.work above this folder: run it within the repository")
		}
		dir = parent
	}
}
