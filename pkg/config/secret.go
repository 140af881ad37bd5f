package config

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Secret is a password, key or token. However it is printed, logged or marshalled it says only
// whether it is there: "set" or "unset". [Secret.Reveal] is the one way to the value, so a search
// for that word finds every place where secrets leave.
type Secret string

// Reveal returns the value itself, to be sent to whoever asks for it and nowhere else.
func (s Secret) Reveal() string { return string(s) }

// Equal reports whether given is the secret, in a time that depends on neither. An unset secret
// equals nothing, not even the empty string: a forgotten setting must not open a door.
func (s Secret) Equal(given string) bool {
	// Hashing first hides the length too, which ConstantTimeCompare would give away.
	mine, theirs := sha256.Sum256([]byte(s)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(mine[:], theirs[:]) == 1 && s != ""
}

// String is "set" or "unset".
func (s Secret) String() string {
	if s == "" {
		return "unset"
	}
	return "set"
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// Format hides the value from every verb, %x and %q among them.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText hides the value from encoders of text and XML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON hides the value from JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalYAML hides the value from YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue hides the value from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// concealed makes of any value one that shows only whether there is something.
func concealed(value any) Secret {
	switch v := value.(type) {
	case Secret:
		return v
	case string:
		return Secret(v)
	default:
		return "hidden"
	}
}
