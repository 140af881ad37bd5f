package embedded

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// entry is one change, a line of the journal. The field that is there says what changed.
type entry struct {
	Subject string `json:"subject,omitempty"`

	// A version: its number, id and text.
	Version int    `json:"version,omitempty"`
	ID      int    `json:"id,omitempty"`
	Schema  string `json:"schema,omitempty"`

	// A version marked as deleted, or removed for good.
	Deleted   int  `json:"deleted,omitempty"`
	Permanent bool `json:"permanent,omitempty"`

	// A level or mode; empty means that the subject has none of its own. Without a subject it is the
	// registry's.
	Level *string `json:"level,omitempty"`
	Mode  *string `json:"mode,omitempty"`
}

// journalName is the file in the registry's folder.
const journalName = "schemas.jsonl"

// journal is the file that every change is appended and synced to before it is answered: an id that
// was given away may stand in records the next moment.
type journal struct {
	file *os.File // nil: nothing is kept
	size int64    // up to where the file is whole
	torn error    // why nothing more can be written
}

// openJournal reads the journal in dir into apply and leaves it open for more. A last line that was
// torn by a crash was never answered, and is cut off; damage anywhere else is an error, for ids after
// it would be lost.
func openJournal(dir string, apply func(entry) error) (j *journal, err error) {
	if dir == "" {
		return &journal{}, nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making the folder: %w", err)
	}
	path := filepath.Join(dir, journalName)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	if err := flock(file); err != nil {
		return nil, fmt.Errorf("locking %s (is another process using it?): %w", path, err)
	}
	size, err := replay(file, apply)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if err := errors.Join(file.Truncate(size), file.Sync(), syncDir(dir)); err != nil {
		return nil, fmt.Errorf("cutting %s to its last whole line: %w", path, err)
	}
	return &journal{file: file, size: size}, nil
}

// replay applies the whole lines and says where they end.
func replay(r io.Reader, apply func(entry) error) (size int64, err error) {
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return size, nil // line is what a crash left, or nothing
		}
		if err != nil {
			return 0, err
		}
		var e entry
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			if _, ended := lines.Peek(1); ended != nil {
				return size, nil // the last line: blocks of one write may reach the disk in any order
			}
			return 0, fmt.Errorf("line %d: %w", number, err)
		}
		if err := apply(e); err != nil {
			return 0, fmt.Errorf("line %d: %w", number, err)
		}
		size += int64(len(line))
	}
}

// write appends entries as a whole or not at all.
func (j *journal) write(entries ...entry) error {
	if j.file == nil {
		return nil
	}
	if j.torn != nil {
		return fmt.Errorf("the journal could not be written before: %w", j.torn)
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, e := range entries {
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("encoding a journal entry: %w", err)
		}
	}
	_, err := j.file.WriteAt(lines.Bytes(), j.size)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// What was written is half a line or one that may not last: away with it, or the next start
		// would read what was never answered.
		if cut := j.file.Truncate(j.size); cut != nil {
			j.torn = errors.Join(err, cut)
		}
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.size += int64(lines.Len())
	return nil
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}

// syncDir makes a new file's name last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
