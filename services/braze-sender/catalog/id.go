package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze"
)

// What begins so is no item's id as its source has it.
const (
	rewritten = "x--"  // with the characters in it that Braze does not take written out
	digested  = "xh--" // for what would be too long even so
)

// ItemID is an item's id in its catalog. Braze takes letters, digits, hyphens and underscores, 250 of them
// (braze-docs: post_create_catalog_items_bulk): an id that is so already stays as it is, since people write
// it into messages. Of any other each byte that may not stand there is written as _ and two hexadecimal
// digits, and _ as two of it, behind x--; one that would be too long becomes xh-- and its SHA-256. No two
// ids become the same.
func ItemID(id string) string {
	if plain(id) && len(id) <= braze.MaxCatalogName && !strings.HasPrefix(id, rewritten) && !strings.HasPrefix(id, digested) {
		return id
	}
	var b strings.Builder
	b.WriteString(rewritten)
	for i := range len(id) {
		switch c := id[i]; {
		case c == '_':
			b.WriteString("__")
		case may(c):
			b.WriteByte(c)
		default:
			const digits = "0123456789ABCDEF"
			b.WriteByte('_')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	if b.Len() > braze.MaxCatalogName {
		sum := sha256.Sum256([]byte(id))
		return digested + hex.EncodeToString(sum[:])
	}
	return b.String()
}

// plain reports whether Braze takes all characters of a name.
func plain(name string) bool {
	for i := range len(name) {
		if !may(name[i]) {
			return false
		}
	}
	return name != ""
}

func may(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
