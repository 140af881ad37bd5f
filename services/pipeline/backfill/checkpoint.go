package backfill

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// checkpoint remembers files that are done: a line of JSON for each, appended and synced once every event of
// it is durable. A line that a crash has cut off is the last, and its file is read again.
type checkpoint struct {
	file *os.File
	done map[mark]bool
}

// mark is a file that is done. One that has grown since is another.
type mark struct {
	File string `json:"file"` // absolute
	Size int64  `json:"size"`
}

// begin is how every line begins, also one that was cut off.
const begin = `{"file":"`

// openCheckpoint reads what is done; without a name nothing is, and nothing is remembered.
func openCheckpoint(name string, write bool) (*checkpoint, error) {
	c := &checkpoint{done: map[mark]bool{}}
	if name == "" {
		return c, nil
	}
	text, err := os.ReadFile(name) //nolint:gosec // the operator's own file
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("reading the checkpoint: %w", err)
	}
	whole := 0 // bytes of lines that are whole
	for whole < len(text) {
		advance, line, err := bufio.ScanLines(text[whole:], false)
		if err != nil || advance == 0 {
			break
		}
		var m mark
		if err := json.Unmarshal(line, &m); err != nil || m.File == "" {
			return nil, fmt.Errorf("%s is no checkpoint of a backfill: %q", name, line[:min(len(line), 80)])
		}
		c.done[m] = true
		whole += advance
	}
	if cut := text[whole:]; len(cut) > 0 && !bytes.HasPrefix(cut, []byte(begin[:min(len(begin), len(cut))])) { // it would be written over
		return nil, fmt.Errorf("%s is no checkpoint of a backfill: %q", name, cut[:min(len(cut), 80)])
	}
	if !write {
		return c, nil
	}
	if c.file, err = os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600); err != nil { //nolint:gosec // likewise
		return nil, fmt.Errorf("opening the checkpoint: %w", err)
	}
	if err := c.file.Truncate(int64(whole)); err != nil {
		return nil, errors.Join(fmt.Errorf("mending the checkpoint: %w", err), c.file.Close())
	}
	if _, err := c.file.Seek(int64(whole), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the checkpoint: %w", err), c.file.Close())
	}
	return c, nil
}

func markOf(f file) mark {
	path, err := filepath.Abs(f.path)
	if err != nil {
		path = f.path
	}
	return mark{path, f.size}
}

func (c *checkpoint) has(f file) bool { return c.done[markOf(f)] }

// add writes down that these are done.
func (c *checkpoint) add(files []file) error {
	if c.file == nil || len(files) == 0 {
		return nil
	}
	var lines []byte
	for _, f := range files {
		line, err := json.Marshal(markOf(f))
		if err != nil {
			return fmt.Errorf("writing the checkpoint: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if _, err := c.file.Write(lines); err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	if err := c.file.Sync(); err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	return nil
}

func (c *checkpoint) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
