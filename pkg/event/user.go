package event

import (
	"errors"
	"strings"
)

// User names a person by one or more identifiers. The strongest present decides the canonical key:
// external id, then Braze id, then alias, then email, then phone.
type User struct {
	ExternalID string `json:"external_id,omitzero"`
	BrazeID    string `json:"braze_id,omitzero"`
	AliasLabel string `json:"alias_label,omitzero"` // both or neither of AliasLabel and AliasName
	AliasName  string `json:"alias_name,omitzero"`
	Email      string `json:"email,omitzero"`
	Phone      string `json:"phone,omitzero"` // E.164
}

// ErrNoUser says that no identifier is present.
var ErrNoUser = errors.New("no identifier: one of external_id, braze_id, alias, email, phone is needed")

// Key is the user's canonical id, the Kafka key of every record about the person. It is empty when
// no identifier is present.
//
//	external_id         as it is
//	braze_id            "braze_id:" + id
//	alias               "alias:" + label + ":" + name
//	email               "email:" + lower-cased address
//	phone               "phone:" + E.164 number
func (u User) Key() string {
	if u.ExternalID != "" {
		return u.ExternalID
	}
	return string(u.AppendKey(nil))
}

// AppendKey appends [User.Key] to dst.
func (u User) AppendKey(dst []byte) []byte {
	switch {
	case u.ExternalID != "":
		return append(dst, u.ExternalID...)
	case u.BrazeID != "":
		return append(append(dst, "braze_id:"...), u.BrazeID...)
	case u.AliasName != "":
		dst = append(append(dst, "alias:"...), u.AliasLabel...)
		return append(append(dst, ':'), u.AliasName...)
	case u.Email != "":
		return append(append(dst, "email:"...), strings.ToLower(u.Email)...)
	case u.Phone != "":
		return append(append(dst, "phone:"...), u.Phone...)
	}
	return dst
}

// HasKey reports whether key is the user's canonical key, without allocating for the usual case.
func (u User) HasKey(key []byte) bool {
	if u.ExternalID != "" {
		return u.ExternalID == string(key)
	}
	var buf [128]byte
	return string(u.AppendKey(buf[:0])) == string(key)
}
