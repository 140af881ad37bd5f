package iso_test

import (
	"testing"

	"github.com/sluicehq/sluice/services/ingest/iso"
)

func TestCodesAreReadAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		read       func(string) (string, bool)
		text, want string
	}{
		{iso.Country, "AT", "AT"},
		{iso.Country, " at ", "AT"},
		{iso.Country, "uk", "GB"},
		{iso.Country, "Austria", ""},
		{iso.Country, "XK", ""},
		{iso.Country, "AUT", ""},
		{iso.Country, "", ""},
		{iso.Country, "A", ""},
		{iso.Language, "de", "de"},
		{iso.Language, "de-AT", "de"},
		{iso.Language, "DE_at.UTF-8", "de"},
		{iso.Language, "zh-Hant-TW", "zh"},
		{iso.Language, "German", ""},
		{iso.Language, "deu", ""},
		{iso.Language, "xx", ""},
		{iso.Language, "-", ""},
		{iso.Language, "", ""},
	} {
		if got, ok := c.read(c.text); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%q is %q, %v; want %q", c.text, got, ok, c.want)
		}
	}
}
