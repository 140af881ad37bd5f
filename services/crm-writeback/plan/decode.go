package plan

import (
	"encoding/binary"
)

// decode reads a value under its key; an empty one is of somebody of whom nothing is known. What it cannot read leaves
// nothing known.
func (s *state) decode(key, value []byte) error {
	s.reset()
	if len(value) == 0 {
		return nil
	}
	r, err := open(value, ofUser)
	if err == nil {
		err = s.read(r, key)
	}
	if err != nil {
		s.reset()
	}
	return err
}

// reader reads a value. Its texts are parts of one string. After a failure it answers nothing but zeros.
type reader struct {
	bytes []byte
	text  string
	at    int
	bad   bool
}

// open checks what a value is.
func open(value []byte, kind byte) (*reader, error) {
	switch {
	case len(value) < 2:
		return nil, damaged("it is too short")
	case value[0] > stateVersion:
		return nil, errNewer
	case value[0] != stateVersion:
		return nil, damaged("there is no such version")
	case value[1] != kind:
		return nil, damaged("it is of another kind")
	}
	return &reader{bytes: value, text: string(value), at: 2}, nil
}

func (r *reader) fail() { r.bad, r.at = true, len(r.bytes) }

func (r *reader) byte() byte {
	if r.at >= len(r.bytes) {
		r.fail()
		return 0
	}
	r.at++
	return r.bytes[r.at-1]
}

func (r *reader) fixed() uint64 {
	if len(r.bytes)-r.at < 8 {
		r.fail()
		return 0
	}
	r.at += 8
	return binary.LittleEndian.Uint64(r.bytes[r.at-8:])
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.bytes[r.at:])
	if size <= 0 {
		r.fail()
		return 0
	}
	r.at += size
	return n
}

// time is a number that can be a time: what is added to it must not run over.
func (r *reader) time() int64 {
	n := r.number()
	if n < 0 || n > 1<<50 {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) count() uint64 {
	n, size := binary.Uvarint(r.bytes[r.at:])
	if size <= 0 {
		r.fail()
		return 0
	}
	r.at += size
	return n
}

// most is a number of things to come, of which each has some bytes at least.
func (r *reader) most(limit, each int) int {
	n := r.count()
	if n > uint64(limit) || n > uint64(len(r.bytes)-r.at)/uint64(each) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) string() string {
	n := r.count()
	if n > uint64(len(r.bytes)-r.at) {
		r.fail()
		return ""
	}
	r.at += int(n)
	return r.text[r.at-int(n) : r.at]
}

func (r *reader) side() side {
	s := side(r.byte())
	if s > inCRM {
		r.fail()
		return nobody
	}
	return s
}

func (s *state) read(r *reader, key []byte) error {
	kind, label := r.byte(), r.count()
	who, ok := whoIs(string(key), kind, label)
	if !ok {
		return damaged("its key is of another kind")
	}
	s.who = who
	for range r.most(maxSeen, 9) {
		s.seen = append(s.seen, seen{hash: r.fixed(), at: r.time()})
	}
	for range r.most(maxObjects, 7) {
		o := s.add()
		for _, text := range [...]*string{&o.target, &o.object, &o.keyField, &o.key, &o.mode, &o.id} {
			*text = r.string()
		}
		for range r.most(maxFields, 5) {
			o.add().read(r)
		}
	}
	switch {
	case r.bad:
		return damaged("it ends in the middle, or says what cannot be")
	case r.at != len(r.bytes):
		return damaged("something follows it")
	}
	return nil
}

func (f *field) read(r *reader) {
	f.name = r.string()
	flags := r.byte()
	f.refused = flags&isRefused != 0
	if f.win.side = r.side(); f.win.side != nobody {
		f.win.hash, f.win.edited, f.win.text = r.fixed(), r.time(), r.string()
	}
	if flags&hasBraze != 0 {
		f.toBraze.read(r)
	}
	if flags&hasCRM != 0 {
		f.toCRM.read(r)
	}
	if flags&hasHeard != 0 {
		f.heard = heard{r.fixed(), r.time()}
	}
	if flags&hasSpoke != 0 {
		f.spoke = r.time()
	}
	if flags&hasNumber != 0 {
		f.number, f.counts = r.number(), true
	}
	if flags&hasTurned != 0 {
		f.turned = r.time()
		f.hops = int(min(r.count(), 1<<20))
	}
	for range r.most(maxPath, 11) {
		f.path = append(f.path, step{side: r.side(), hash: r.fixed(), at: r.time(), event: r.string()})
	}
	for range r.most(maxLedger, 21) {
		f.ledger = append(f.ledger, entry{
			write: r.fixed(), hash: r.fixed(), planned: r.time(), written: r.time(), expires: r.time(), before: r.time(),
			refused: r.byte() != 0,
		})
	}
}

func (s *sent) read(r *reader) {
	s.write, s.hash, s.planned, s.written = r.fixed(), r.fixed(), r.time(), r.time()
}
