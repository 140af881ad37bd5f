package crmwriteback

import (
	"time"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// item is a row of crm-writeback.writes, from when it is taken until it is settled.
type item struct {
	delivery stream.Delivery
	part     *part
	write    crm.Write
	row      target.Row // the write as its target sees it, unless it is folded with others

	first    time.Time // when it was handed over first; zero when it was not yet
	attempts int       // calls that have carried it
	alone    bool      // not to be folded again: a folded row was refused, and nobody knows for whose sake
}

func newItem(d stream.Delivery, p *part, w crm.Write) *item {
	return &item{
		delivery: d, part: p, write: w,
		row: target.Row{
			ID: w.ID, Object: w.Object, KeyField: w.KeyField, Key: w.Key, Mode: w.Mode,
			Fields: w.Fields, User: w.User, EditedAt: w.EditedAt,
		},
	}
}

// weight is what the row counts for against a form's bytes.
func weight(r *target.Row) int { return len(r.Fields) + len(r.Key) }

// size is what the item counts for in a window.
func (it *item) size() int64 { return int64(len(it.delivery.Value())) }

// part is a partition while it is assigned. The lock of whoever it is assigned to guards it.
type part struct {
	*stream.Partition
	gone bool // it is being given back, or was
	open int  // items taken, and neither durably settled nor given back
	busy int  // of these, those in a call, or settled by one and not durably so
}
