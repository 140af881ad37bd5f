package plan

// expect enters a write of win to the system, whose echo may come.
func (f *field) expect(write uint64, now int64) {
	f.toCRM, f.refused = sent{write: write, hash: f.win.hash, planned: now}, false
	if len(f.ledger) >= maxLedger {
		f.ledger = append(f.ledger[:0], f.ledger[1:]...)
	}
	f.ledger = append(f.ledger, entry{write: write, hash: f.win.hash, planned: now, expires: now + unanswered.Milliseconds()})
}

// echo reports whether a value is a write of ours that comes back, and consumes its entry. Reliable says that at is
// when the system changed the field, and not merely when we heard of it: then an echo is no later than the answer to its
// write. Of two entries with the same value the older is taken: the newer one's echo is still to come.
//
// Older writes had arrived by then. Where times tell what is an echo of theirs, their entries stay, for a report may be
// overtaken by a later one, and match what is no later than the newest that was heard; where times do not tell, they
// go, for nothing else would tell their echoes from a person's edit.
func (f *field) echo(hash uint64, at int64, reliable bool, skew int64) bool {
	for i := range f.ledger {
		e := &f.ledger[i]
		switch {
		case e.hash != hash || e.refused:
		case at < e.planned-skew: // somebody else's, before ours can have arrived
		case reliable && e.written != 0 && at > e.written+skew: // somebody else's, after it
		case reliable && e.before != 0 && at > e.before: // likewise
		default:
			from := 0
			if reliable {
				from = i
			}
			for j := range f.ledger[:from] {
				if older := &f.ledger[j]; older.before == 0 {
					older.before = max(at, f.heard.at)
				}
			}
			if e.write == f.toCRM.write && f.toCRM.written == 0 && reliable {
				f.toCRM.written = at
			}
			f.ledger = append(f.ledger[:from], f.ledger[i+1:]...)
			return true
		}
	}
	return false
}

// edited drops the writes that were certainly done when somebody edited the field at a time: the next such value is
// a person's.
func (f *field) edited(at, skew int64) {
	kept := f.ledger[:0]
	for _, e := range f.ledger {
		if e.refused || e.written == 0 || e.written > at-skew {
			kept = append(kept, e)
		}
	}
	f.ledger = kept
}

// expire drops the entries whose time is over.
func (f *field) expire(now int64) {
	kept := f.ledger[:0]
	for _, e := range f.ledger {
		if e.expires > now {
			kept = append(kept, e)
		}
	}
	f.ledger = kept
}

// done notes that a write has arrived, and until when its echo may come.
func (e *entry) done(at, window int64) {
	e.written, e.expires, e.refused = at, at+window, false
}

// takeBack notes that a write will never arrive. Its entry stays as long as an operator can send it once more.
func (e *entry) takeBack(now int64) {
	e.refused, e.expires = true, now+replayable.Milliseconds()
}

// takeBack undoes what was noted when the last write to the system was planned, which will never arrive.
func (f *field) takeBack() {
	f.refused = f.win.hash == f.toCRM.hash
	f.toCRM = sent{}
}
