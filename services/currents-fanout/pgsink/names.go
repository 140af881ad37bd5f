package pgsink

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/pkg/currents"
)

const (
	maxName   = 63 // bytes of a name that PostgreSQL does not cut off
	maxPrefix = 20
)

// tableName is the table of a type of event in the layout per_type, at most 63 bytes and never that of another type.
//
// A type of the catalogue has the name that one would guess, users_messages_email_click, which no two of them share. Of any
// other type nothing is certain, not even that it holds no quotes: it keeps the letters, digits and underscores that it
// has, and a digest keeps it apart from all that look like it.
func tableName(prefix, eventType string) string {
	if _, known := currents.Lookup(eventType); known {
		if name := prefix + strings.ToLower(strings.ReplaceAll(eventType, ".", "_")); len(name) <= maxName {
			return name
		}
	}
	return strangersName(prefix, eventType)
}

// strangersName is the table of a type that is not in the catalogue, or was not yet.
func strangersName(prefix, eventType string) string {
	sum := sha256.Sum256([]byte(eventType))
	digest := hex.EncodeToString(sum[:10])
	plain := make([]byte, 0, maxName)
	for _, c := range []byte(eventType) {
		switch {
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		default:
			c = '_'
		}
		if len(prefix)+len(plain)+1+len(digest) == maxName {
			break
		}
		plain = append(plain, c)
	}
	return prefix + string(plain) + "_" + digest
}

// isTypeTable says whether a type of the catalogue has that table.
func isTypeTable(prefix, table string) bool {
	for _, t := range currents.Types() {
		if tableName(prefix, t.Name) == table {
			return true
		}
	}
	return false
}

// quoted is a name as SQL takes it, whatever it holds.
func quoted(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// literal is a text as SQL takes it, whatever standard_conforming_strings says.
func literal(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "�"), "�")
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// list joins quoted names.
func list(columns []column) string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = quoted(columns[i].name)
	}
	return strings.Join(names, ", ")
}
