package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sluicehq/sluice/pkg/jsontree"
	"github.com/sluicehq/sluice/services/ingest/feed"
)

// Rows reads the items of a feed.
type Rows struct {
	polling *Polling
	reader  feed.Reader
}

// Rows begins to read a feed, which may be compressed.
func (p *Polling) Rows(r io.Reader) (*Rows, error) {
	reader, err := feed.Open(r, feed.Options{Format: feed.Format(p.Format), MaxBytes: p.MaxBytes, Decode: decodeLine})
	if err != nil {
		return nil, err
	}
	return &Rows{p, reader}, nil
}

func decodeLine(line []byte) (any, error) {
	return jsontree.Read(line, jsontree.Options{})
}

// NextID is the id of the next row, empty where it has none; io.EOF behind the last of a whole feed.
func (r *Rows) NextID(ctx context.Context) (string, error) {
	row, err := r.reader.Next()
	if err != nil {
		return "", err
	}
	id, err := r.polling.text(ctx, r.polling.source.programs.poll.id, row)
	if err != nil && ctx.Err() == nil {
		return "", nil // the row is a dead letter, once it is read as an item
	}
	return id, err
}

// Next is the next row as an item, whose version, unless the source has a program for it, is a hash of all that
// the row says; io.EOF behind the last of a whole feed.
func (r *Rows) Next(ctx context.Context) (Item, error) {
	row, err := r.reader.Next()
	if err != nil {
		return Item{}, err
	}
	return r.polling.item(ctx, row)
}

// sampleOf reads a feed that is short enough to be looked at.
func (p *Polling) sampleOf(ctx context.Context, body []byte) (Page, error) {
	rows, err := p.Rows(bytes.NewReader(body))
	if err != nil {
		return Page{}, err
	}
	var page Page
	for {
		it, err := rows.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return page, nil
		case err != nil:
			return Page{}, err
		case len(page.Items) == maxPageItems:
			return Page{}, fmt.Errorf("more than %d rows are no sample", maxPageItems)
		}
		page.Items = append(page.Items, it)
	}
}
