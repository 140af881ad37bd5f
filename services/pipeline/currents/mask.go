package currents

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// How much of a value is shown: enough to see what it is.
const (
	maxMasked  = 160 // characters of the whole
	maxText    = 40  // of one text
	maxMembers = 12  // of one object or list
)

// mask shows what a JSON value looks like without what it says: letters of texts become x, digits 9, and the
// rest stays, so that an address is still one, and a date. The names of members stay: they are what is looked
// for. It is empty for what is no JSON value.
func mask(v jsontext.Value) string {
	if len(v) == 0 {
		return ""
	}
	var b strings.Builder
	d := jsontext.NewDecoder(strings.NewReader(string(v)), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if maskNext(&b, d) != nil {
		return ""
	}
	if text := b.String(); utf8.RuneCountInString(text) > maxMasked {
		return string([]rune(text)[:maxMasked]) + "…"
	}
	return b.String()
}

// maskNext masks the value that comes next.
func maskNext(b *strings.Builder, d *jsontext.Decoder) error {
	kind := d.PeekKind()
	if kind != '{' && kind != '[' {
		t, err := d.ReadToken()
		if err != nil {
			return err
		}
		maskToken(b, t)
		return nil
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	end := map[jsontext.Kind]byte{'{': '}', '[': ']'}[kind]
	b.WriteByte(byte(kind))
	for n := 0; d.PeekKind() != jsontext.Kind(end); n++ {
		if n == maxMembers || b.Len() > 4*maxMasked { // the rest is not shown
			b.WriteString(",…")
			break
		}
		if n > 0 {
			b.WriteByte(',')
		}
		if kind == '{' {
			name, err := d.ReadToken()
			if err != nil {
				return err
			}
			b.WriteString(`"` + shorten(name.String()) + `":`)
		}
		if err := maskNext(b, d); err != nil {
			return err
		}
	}
	for d.PeekKind() != jsontext.Kind(end) {
		if err := d.SkipValue(); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	b.WriteByte(end)
	return err
}

func maskToken(b *strings.Builder, t jsontext.Token) {
	switch t.Kind() {
	case '"':
		b.WriteString(`"` + shorten(strings.Map(hide, t.String())) + `"`)
	case '0':
		b.WriteString(strings.Map(hide, t.String()))
	default: // true, false and null say next to nothing
		b.WriteString(t.String())
	}
}

// hide takes a character's meaning.
func hide(r rune) rune {
	switch {
	case unicode.IsDigit(r):
		return '9'
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return 'x'
	case unicode.IsPrint(r) && r < utf8.RuneSelf:
		return r
	}
	return '?'
}

// shorten cuts a text, and takes what would move a terminal's cursor.
func shorten(text string) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text))
	if len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return string(runes)
}
