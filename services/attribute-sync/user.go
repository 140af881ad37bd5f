package attributesync

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/attribute-sync/cases"
	"github.com/sluicehq/sluice/services/attribute-sync/profile"
	"github.com/sluicehq/sluice/services/attribute-sync/spending"
)

// user is what is kept of one customer: one value of the state's topic, under the customer's key.
type user struct {
	who      event.User // as the key says, with nothing else beside
	revision int64      // counts the times that attributes were made here, each newer than the last
	profile  profile.State
	cases    cases.State
	spending spending.State
}

// userVersion changes with the form of any of the sections, so that an older release does not take what a newer
// one has written for damaged.
const userVersion = 1

// errNewer says that a newer release has written a customer's state.
var errNewer = errors.New("the state was written by a newer release; run that one, or one newer still")

// The kinds of key, as they stand in a value: from the key alone an external id cannot be told from an
// email address that is written like one.
const (
	byExternalID = iota
	byBrazeID
	byAlias
	byEmail
	byPhone
)

// append appends the value; of a customer of whom nothing is known, nothing.
//
//	version, kind of key, length of the alias's label, revision, three sections: length and bytes
func (u *user) append(dst []byte) []byte {
	if u.profile.Empty() && u.cases.Empty() && u.spending.Empty() {
		return dst
	}
	kind, label := byExternalID, 0
	switch {
	case u.who.ExternalID != "":
	case u.who.BrazeID != "":
		kind = byBrazeID
	case u.who.AliasName != "":
		kind, label = byAlias, len(u.who.AliasLabel)
	case u.who.Email != "":
		kind = byEmail
	default:
		kind = byPhone
	}
	dst = append(dst, userVersion, byte(kind))
	dst = binary.AppendUvarint(dst, uint64(label))
	dst = binary.AppendUvarint(dst, uint64(u.revision))
	dst = section(dst, u.profile.Append)
	dst = section(dst, u.cases.Append)
	return section(dst, u.spending.Append)
}

// section appends what write appends, its length in front. Nearly all are shorter than 16 KiB, and two bytes
// hold the length.
func section(dst []byte, write func([]byte) []byte) []byte {
	const room = 2
	from := len(dst)
	dst = write(append(dst, 0, 0))
	n := len(dst) - from - room
	if n < 1<<14 {
		dst[from], dst[from+1] = byte(n)|0x80, byte(n>>7)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(length[:], uint64(n))
	dst = append(dst, length[:size-room]...) // room at the end, for what moves back
	copy(dst[from+size:], dst[from+room:from+room+n])
	copy(dst[from:], length[:size])
	return dst
}

// errUser says that bytes are no customer.
var errUser = errors.New("not the state of a customer")

// decode reads a value under its key; an empty one is of somebody of whom nothing is known. Of a section that
// cannot be read nothing is known, the others count.
func (u *user) decode(key, value []byte) error {
	u.reset()
	if len(value) == 0 {
		return nil
	}
	return u.read(key, value)
}

func (u *user) reset() {
	u.who, u.revision = event.User{}, 0
	_ = u.profile.Decode(nil)
	u.cases.Reset()
	_ = u.spending.Decode(nil)
}

func (u *user) read(key, value []byte) error {
	switch {
	case value[0] > userVersion:
		return errNewer
	case len(value) < 2 || value[0] != userVersion:
		return errUser
	}
	kind, rest := int(value[1]), value[2:]
	label, rest, ok := number(rest)
	revision, rest, ok2 := number(rest)
	if !ok || !ok2 || revision > 1<<62 {
		return errUser
	}
	u.revision = int64(revision)
	if u.who, ok = whoIs(string(key), kind, label); !ok {
		u.who = event.User{}
		return fmt.Errorf("%w: its key is of another kind", errUser)
	}
	var damaged error
	for _, decode := range []func([]byte) error{u.profile.Decode, u.cases.Decode, u.spending.Decode} {
		n, behind, ok := number(rest)
		if !ok || n > uint64(len(behind)) {
			return errors.Join(damaged, errUser)
		}
		if err := decode(behind[:n]); err != nil {
			damaged = errors.Join(damaged, fmt.Errorf("%w: %w", errUser, err))
		}
		rest = behind[n:]
	}
	if len(rest) > 0 {
		damaged = errors.Join(damaged, errUser)
	}
	return damaged
}

func number(b []byte) (n uint64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// whoIs takes a canonical key apart.
func whoIs(key string, kind int, label uint64) (u event.User, ok bool) {
	cut := func(prefix string) string {
		if len(key) > len(prefix) && key[:len(prefix)] == prefix {
			return key[len(prefix):]
		}
		return ""
	}
	switch kind {
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
	return u, u.Key() == key && key != ""
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
