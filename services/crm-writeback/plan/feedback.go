package plan

import (
	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// feedback learns from what became of a write: when it was done, or that it never will be, and the system's own id of its
// object.
func (c *core) feedback(s *state, d *crm.Delivery, sub *subject, out *decision) {
	if !teaches(d) {
		return
	}
	target, ok := c.rules.Target(d.Target)
	if !ok {
		return
	}
	delivered := d.Outcome.Kind == outcome.Delivered
	write, at := xxhash.Sum64String(d.WriteID), millis(d.SettledAt)
	for i := range s.objects {
		o := &s.objects[i]
		if o.target != d.Target || o.object != d.Object || o.key != d.Key {
			continue
		}
		if delivered {
			c.link(o, d.CRMID, sub, out)
		}
		var again crm.Write
		var stale fieldSet
		for j := range o.fields {
			f := &o.fields[j]
			if f.learn(write, delivered, at, c.judge.now, target.EchoWindow.Milliseconds()) {
				if stale.empty() {
					again = sub.row(upright+" after "+d.WriteID, d.Rule, o.target, o.object, o.keyField, o.key, o.mode)
				}
				stale.add(f.name, []byte(f.win.text))
				f.expect(xxhash.Sum64String(again.ID), c.judge.now)
			}
		}
		if !stale.empty() {
			again.Fields = stale.json()
			out.row(again)
		}
	}
}

// learn tells a field what became of a write, if it was a part of that. It reports whether the write, which was refused
// once and sent once more by an operator, has overwritten something newer.
func (f *field) learn(write uint64, delivered bool, at, now, window int64) (stale bool) {
	last := f.toCRM.planned != 0 && f.toCRM.write == write
	switch {
	case last && delivered:
		f.toCRM.written = at
	case last:
		f.takeBack()
	}
	for i := range f.ledger {
		e := &f.ledger[i]
		switch {
		case e.write != write:
		case !delivered:
			e.takeBack(now)
		case e.refused && f.win.hash != e.hash && f.win.text == "":
			// What is newer is too long to be written again. The operator's word counts as an edit in the system, and reaches
			// Braze with the report of it.
		default:
			switch {
			case !e.refused:
			case f.win.hash != e.hash:
				stale = true
			case f.toCRM.planned == 0:
				f.toCRM, f.refused = sent{write: e.write, hash: e.hash, planned: e.planned, written: at}, false
			}
			e.done(at, window)
		}
	}
	return stale
}

// teaches reports whether an outcome changes what is known of anybody: that of a write to a system, which was tried or
// will not be.
func teaches(d *crm.Delivery) bool {
	return d.Target != crm.Braze && d.Mode != crm.Note && d.Outcome.Kind.Final() && (d.Outcome.Kind != outcome.Skipped || d.Attempts > 0)
}
