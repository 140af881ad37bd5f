package plan

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
)

// A value of the state's topic begins with the version of its form and what it is about. An older release must not
// take for damaged what a newer one has written.
const (
	stateVersion = 1
	ofUser       = 'u'
	ofObject     = 'o'
)

var (
	errState = errors.New("not a state of crm-writeback")
	errNewer = errors.New("the state was written by a newer release; run that one, or one newer still")
)

// append appends the state, within its bound: what is left out is the objects that were known first.
func (s *state) append(dst []byte) []byte {
	from := len(dst)
	for {
		dst = s.write(dst[:from])
		if len(dst)-from <= maxState || len(s.objects) == 0 {
			return dst
		}
		for range (len(s.objects) + 1) / 2 {
			s.dropObject(0)
		}
	}
}

func (s *state) write(dst []byte) []byte {
	dst = append(dst, stateVersion, ofUser)
	dst = appendWho(dst, s.who)
	dst = binary.AppendUvarint(dst, uint64(len(s.seen)))
	for _, known := range s.seen {
		dst = binary.LittleEndian.AppendUint64(dst, known.hash)
		dst = binary.AppendVarint(dst, known.at)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.objects)))
	for i := range s.objects {
		dst = s.objects[i].append(dst)
	}
	return dst
}

func (o *object) append(dst []byte) []byte {
	for _, text := range [...]string{o.target, o.object, o.keyField, o.key, o.mode, o.id} {
		dst = appendText(dst, text)
	}
	dst = binary.AppendUvarint(dst, uint64(len(o.fields)))
	for i := range o.fields {
		dst = o.fields[i].append(dst)
	}
	return dst
}

// What a field has; most have little.
const (
	hasBraze = 1 << iota
	hasCRM
	hasHeard
	hasSpoke
	hasNumber
	hasTurned
	isRefused
)

func (f *field) append(dst []byte) []byte {
	flags := byte(0)
	set := func(has bool, flag byte) {
		if has {
			flags |= flag
		}
	}
	set(f.toBraze.planned != 0, hasBraze)
	set(f.toCRM.planned != 0, hasCRM)
	set(f.heard.at != 0, hasHeard)
	set(f.spoke != 0, hasSpoke)
	set(f.counts, hasNumber)
	set(f.turned != 0, hasTurned)
	set(f.refused, isRefused)
	dst = appendText(dst, f.name)
	dst = append(dst, flags, byte(f.win.side))
	if f.win.side != nobody {
		dst = binary.LittleEndian.AppendUint64(dst, f.win.hash)
		dst = binary.AppendVarint(dst, f.win.edited)
		dst = appendText(dst, f.win.text)
	}
	if flags&hasBraze != 0 {
		dst = f.toBraze.append(dst)
	}
	if flags&hasCRM != 0 {
		dst = f.toCRM.append(dst)
	}
	if flags&hasHeard != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, f.heard.hash)
		dst = binary.AppendVarint(dst, f.heard.at)
	}
	if flags&hasSpoke != 0 {
		dst = binary.AppendVarint(dst, f.spoke)
	}
	if flags&hasNumber != 0 {
		dst = binary.AppendVarint(dst, f.number)
	}
	if flags&hasTurned != 0 {
		dst = binary.AppendVarint(dst, f.turned)
		dst = binary.AppendUvarint(dst, uint64(f.hops))
	}
	dst = binary.AppendUvarint(dst, uint64(len(f.path)))
	for _, p := range f.path {
		dst = append(dst, byte(p.side))
		dst = binary.LittleEndian.AppendUint64(dst, p.hash)
		dst = binary.AppendVarint(dst, p.at)
		dst = appendText(dst, p.event)
	}
	dst = binary.AppendUvarint(dst, uint64(len(f.ledger)))
	for _, e := range f.ledger {
		dst = binary.LittleEndian.AppendUint64(dst, e.write)
		dst = binary.LittleEndian.AppendUint64(dst, e.hash)
		dst = binary.AppendVarint(dst, e.planned)
		dst = binary.AppendVarint(dst, e.written)
		dst = binary.AppendVarint(dst, e.expires)
		dst = binary.AppendVarint(dst, e.before)
		dst = append(dst, flagOf(e.refused))
	}
	return dst
}

func (s *sent) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, s.write)
	dst = binary.LittleEndian.AppendUint64(dst, s.hash)
	dst = binary.AppendVarint(dst, s.planned)
	return binary.AppendVarint(dst, s.written)
}

func flagOf(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// The kinds of key: from the key alone an external id cannot be told from an e-mail address that is written like one.
const (
	byNothing = iota
	byExternalID
	byBrazeID
	byAlias
	byEmail
	byPhone
)

// appendWho appends which identifier the key is, and the length of an alias's label in it.
func appendWho(dst []byte, u event.User) []byte {
	kind, label := byNothing, 0
	switch {
	case u.ExternalID != "":
		kind = byExternalID
	case u.BrazeID != "":
		kind = byBrazeID
	case u.AliasName != "":
		kind, label = byAlias, len(u.AliasLabel)
	case u.Email != "":
		kind = byEmail
	case u.Phone != "":
		kind = byPhone
	}
	return binary.AppendUvarint(append(dst, byte(kind)), uint64(label))
}

// whoIs takes a canonical key apart.
func whoIs(key string, kind byte, label uint64) (u event.User, ok bool) {
	cut := func(prefix string) string {
		if len(key) > len(prefix) && key[:len(prefix)] == prefix {
			return key[len(prefix):]
		}
		return ""
	}
	switch kind {
	case byNothing:
		return u, true
	case byExternalID:
		u.ExternalID = key
	case byBrazeID:
		u.BrazeID = cut("braze_id:")
	case byAlias:
		if both := cut("alias:"); label < uint64(len(both)) && both[label] == ':' {
			u.AliasLabel, u.AliasName = both[:label], both[label+1:]
		}
	case byEmail:
		u.Email = cut("email:")
	case byPhone:
		u.Phone = cut("phone:")
	}
	return u, key != "" && u.Key() == key
}

// only is the identifier that makes the key, without the others.
func only(u event.User) event.User {
	switch {
	case u.ExternalID != "":
		return event.User{ExternalID: u.ExternalID}
	case u.BrazeID != "":
		return event.User{BrazeID: u.BrazeID}
	case u.AliasName != "":
		return event.User{AliasLabel: u.AliasLabel, AliasName: u.AliasName}
	case u.Email != "":
		return event.User{Email: u.Email}
	}
	return event.User{Phone: u.Phone}
}

func damaged(what string) error { return fmt.Errorf("%w: %s", errState, what) }
