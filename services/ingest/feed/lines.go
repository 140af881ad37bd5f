package feed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// lines reads an object from each line.
type lines struct {
	from   *bufio.Reader
	meter  *meter
	decode func([]byte) (any, error)
	n      int
}

var errNoObject = errors.New("it is no object")

// Next is part of [Reader].
func (l *lines) Next() (map[string]any, error) {
	for {
		l.meter.next()
		line, err := readLine(l.from)
		l.n++
		if err != nil {
			return nil, err
		}
		whole := line[len(line)-1] == '\n'
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		v, err := l.decode(line)
		if err == nil {
			if row, ok := v.(map[string]any); ok {
				return row, nil
			}
			err = errNoObject
		}
		if !whole {
			return nil, fmt.Errorf("%w: in line %d: %w", ErrCutOff, l.n, err)
		}
		return nil, fmt.Errorf("reading line %d: %w", l.n, err)
	}
}

// readLine reads a line with its end, or the last without. It never returns an empty one.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > MaxRowBytes:
			return nil, errRow
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
			return line, nil
		default:
			return nil, cutOff(err)
		}
	}
}
