package feed

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// toUTF8 takes a byte order mark away, and turns UTF-16 that has one into UTF-8.
func toUTF8(r io.Reader) (*bufio.Reader, error) {
	b := bufio.NewReader(r)
	mark, err := b.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	skip, order := 0, binary.ByteOrder(nil)
	switch {
	case bytes.HasPrefix(mark, []byte("\xef\xbb\xbf")):
		skip = 3
	case bytes.HasPrefix(mark, []byte("\xff\xfe")):
		skip, order = 2, binary.LittleEndian
	case bytes.HasPrefix(mark, []byte("\xfe\xff")):
		skip, order = 2, binary.BigEndian
	}
	if _, err := b.Discard(skip); err != nil {
		return nil, err
	}
	if order == nil {
		return b, nil
	}
	return bufio.NewReader(&wide{from: b, order: order}), nil
}

// wide reads UTF-16 as UTF-8.
type wide struct {
	from  io.Reader
	order binary.ByteOrder
	rest  []byte // that is UTF-8 already
}

// Read is part of [io.Reader].
func (w *wide) Read(p []byte) (int, error) {
	for len(w.rest) == 0 {
		r, err := w.unit()
		if err != nil {
			return 0, err
		}
		if utf16.IsSurrogate(r) {
			second, err := w.unit()
			if err != nil {
				return 0, unexpected(err)
			}
			if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
				return 0, errors.New("it is not UTF-16, though its mark says so")
			}
		}
		w.rest = utf8.AppendRune(w.rest[:0], r)
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *wide) unit() (rune, error) {
	var b [2]byte
	if _, err := io.ReadFull(w.from, b[:]); err != nil {
		return 0, err // io.ErrUnexpectedEOF within one
	}
	return rune(w.order.Uint16(b[:])), nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// charset reads what an XML declaration calls its encoding, if it is not UTF-8.
func charset(label string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-8", "us-ascii", "utf-16", "utf-16le", "utf-16be": // of which toUTF8 has made UTF-8
		return r, nil
	case "iso-8859-1", "latin1":
		return latin{bufio.NewReader(r)}, nil
	}
	return nil, fmt.Errorf("the encoding %q is not known here: want UTF-8, UTF-16 or ISO-8859-1", clipped(label))
}

// latin reads ISO-8859-1, whose bytes are the first characters there are.
type latin struct{ from *bufio.Reader }

// Read is part of [io.Reader].
func (l latin) Read(p []byte) (n int, err error) {
	if len(p) < 2 { // there is no room for the second byte of a character
		return 0, io.ErrShortBuffer
	}
	for n+2 <= len(p) {
		b, err := l.from.ReadByte()
		switch {
		case err == nil:
			n += utf8.EncodeRune(p[n:], rune(b))
		case n > 0:
			return n, nil
		default:
			return 0, err
		}
	}
	return n, nil
}
