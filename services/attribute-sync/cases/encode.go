package cases

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
)

// The state's bytes, all numbers unsigned varints and all moments milliseconds since 1970:
//
//	version, 1
//	seen, past, moment and value of last
//	group: length, bytes
//	number of cases, and for each in order of source and id:
//	  source: length, bytes; length 0 where it is that of the case before
//	  id: length, bytes
//	  which of the moments below there are, a bit each, lowest first; then rank (2 bits), severity (3), risky (1),
//	  and whether an escalation stands above a round that has begun (1)
//	  the earliest of them, then of each what it is later; then the same of when that round has begun
//	  value of rated, where there is one
//	  channel: length, bytes, where there is one
//
// One state has one form, and nothing else is read: bytes that differ are states that differ.

const version = 1

// maxState is more than MaxCases of the longest texts need.
const maxState = 1 << 18

// Moments of a case, as bits.
const (
	bitFirst = 1 << iota
	bitNews
	bitOpening
	bitResolved
	bitSilenced
	bitStated
	bitRaised
	bitRated
	bitChannel
	bitSurveyed
	bitWonBack
	momentBits = 11 // how many these are

	shiftRank     = momentBits
	shiftSeverity = shiftRank + 2
	shiftRisky    = shiftSeverity + 3
	shiftBegun    = shiftRisky + 1
	maskAll       = 1<<(shiftBegun+1) - 1
)

// stamps are the moments of a case in the order of the bits.
func (f *file) stamps() [momentBits]*int64 {
	return [...]*int64{
		&f.first, &f.news, &f.opening.at, &f.resolved, &f.silenced, &f.stated, &f.raised, &f.rated.at, &f.channel.at,
		&f.surveyed, &f.wonBack,
	}
}

// Append appends the state's bytes.
func (s *State) Append(dst []byte) []byte {
	dst = append(dst, version)
	dst = binary.AppendUvarint(dst, uint64(s.seen))
	dst = binary.AppendUvarint(dst, uint64(s.past))
	dst = binary.AppendUvarint(dst, uint64(s.last.at))
	dst = binary.AppendUvarint(dst, uint64(s.last.value))
	dst = appendBytes(dst, s.group)
	dst = binary.AppendUvarint(dst, uint64(len(s.cases)))
	source := ""
	for i := range s.cases {
		f := &s.cases[i]
		if f.source == source {
			dst = append(dst, 0)
		} else {
			dst = appendBytes(dst, f.source)
			source = f.source
		}
		dst = f.append(appendBytes(dst, f.id))
	}
	return dst
}

func (f *file) append(dst []byte) []byte {
	mask := uint64(f.opening.rank)<<shiftRank | uint64(f.severity)<<shiftSeverity
	if f.risky {
		mask |= 1 << shiftRisky
	}
	stamps, base := f.stamps(), int64(0)
	for i, at := range stamps {
		if *at != 0 {
			mask |= 1 << i
			if base == 0 || *at < base {
				base = *at
			}
		}
	}
	begun := f.opening.rank == escalated && f.begun != 0 // else the opening says it
	if begun {
		mask |= 1 << shiftBegun
	}
	dst = binary.AppendUvarint(dst, mask)
	dst = binary.AppendUvarint(dst, uint64(base))
	for _, at := range stamps {
		if *at != 0 {
			dst = binary.AppendUvarint(dst, uint64(*at-base))
		}
	}
	if begun {
		dst = binary.AppendUvarint(dst, uint64(f.begun-base))
	}
	if f.rated.at != 0 {
		dst = append(dst, byte(f.rated.value))
	}
	if f.channel.at != 0 {
		dst = appendBytes(dst, f.channel.name)
	}
	return dst
}

func appendBytes(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// ErrState says that bytes are not those of a state.
var ErrState = errors.New("not a state of support cases")

// Decode reads what [State.Append] wrote; no bytes are a state that knows nothing. The state keeps
// nothing of b. After an error it is empty.
func (s *State) Decode(b []byte) error {
	s.Reset()
	if len(b) == 0 {
		return nil
	}
	if len(b) > maxState {
		return fmt.Errorf("%w: %d bytes", ErrState, len(b))
	}
	in := reader{text: string(b)}
	if v := in.number(255); v != version {
		return fmt.Errorf("%w: version %d is unknown", ErrState, v)
	}
	if in.state(s); in.text != "" {
		in.bad = true
	}
	if in.bad {
		s.Reset()
		return fmt.Errorf("%w: malformed after %d of %d bytes", ErrState, len(b)-len(in.text), len(b))
	}
	return nil
}

// reader takes values off the front of a text. After the first that is malformed it gives zeroes.
type reader struct {
	text string
	bad  bool
}

func (in *reader) state(s *State) {
	s.seen, s.past = in.moment(0), in.moment(0)
	s.last = rating{in.moment(0), int8(in.number(event.MaxRating))}
	in.demand(s.last.at != 0 || s.last.value == 0)
	s.group = in.string(MaxText)
	n := int(in.number(MaxCases))
	s.cases = slices.Grow(s.cases, n)
	before := key{}
	for range n {
		var f file
		if f.source = in.string(MaxText); f.source == "" {
			f.source = before.source
		} else {
			in.demand(f.source != before.source)
		}
		f.id = in.string(MaxText)
		in.file(&f)
		in.demand(f.source != "" && f.id != "" && f.compare(before) > 0)
		if in.bad {
			return
		}
		s.cases = append(s.cases, f)
		before = f.key
	}
}

func (in *reader) file(f *file) {
	mask := in.number(maskAll)
	base := in.moment(0)
	least := int64(1)
	for i, at := range f.stamps() {
		if mask&(1<<i) != 0 {
			*at = in.moment(base)
			least = min(least, *at-base)
		}
	}
	f.opening.rank = uint8(mask >> shiftRank & 3)
	if f.opening.rank != escalated {
		f.begun = f.opening.at
	}
	if mask&(1<<shiftBegun) != 0 {
		in.demand(f.opening.rank == escalated)
		f.begun = in.moment(base)
	}
	if f.rated.at != 0 {
		f.rated.value = int8(in.number(event.MaxRating))
	}
	if f.channel.at != 0 {
		f.channel.name = in.string(MaxText)
		in.demand(f.channel.name != "")
	}
	f.severity = uint8(mask >> shiftSeverity & 7)
	f.risky = mask&(1<<shiftRisky) != 0
	in.demand(base > 0 && least == 0 && f.coherent())
}

// coherent says that the parts of a file agree as they do whenever reports have made it.
func (f *file) coherent() bool {
	newest := max(f.opening.at, f.resolved, f.raised)
	return (f.opening.at != 0) == (f.opening.rank != 0) &&
		(f.stated != 0) == (f.severity != 0) && int(f.severity) < len(severities) &&
		(f.first != 0) == (f.news != 0) && f.first <= f.news && newest <= f.news &&
		f.begun <= f.opening.at && (f.begun == 0 || f.begun >= f.first) &&
		f.silenced <= f.resolved && f.surveyed <= f.resolved && f.wonBack <= f.rated.at &&
		f.touched() > 0
}

func (in *reader) demand(ok bool) { in.bad = in.bad || !ok }

// number reads an unsigned varint in its shortest form.
func (in *reader) number(most uint64) uint64 {
	var n uint64
	for i := 0; i < len(in.text) && i < binary.MaxVarintLen64; i++ {
		c := in.text[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c >= 0x80 {
			continue
		}
		if in.bad || n > most || c == 0 && i > 0 || i == binary.MaxVarintLen64-1 && c > 1 {
			break
		}
		in.text = in.text[i+1:]
		return n
	}
	in.bad = true
	return 0
}

// moment reads how much later than base something was, or a moment, with base 0.
func (in *reader) moment(base int64) int64 { return base + int64(in.number(uint64(latest-base))) }

func (in *reader) string(most uint64) string {
	n := int(in.number(most))
	if n > len(in.text) {
		in.bad = true
		return ""
	}
	s := in.text[:n]
	in.text = in.text[n:]
	in.demand(utf8.ValidString(s))
	return s
}
