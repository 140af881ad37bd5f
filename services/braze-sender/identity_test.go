package brazesender

import (
	"strings"
	"testing"
)

func TestTextsThatReceiptsConfuseHaveNoIdentity(t *testing.T) {
	sameStart := strings.Repeat("x", maxID)
	for name, id := range map[string]string{
		"bytes that are no text": "\x00\x00\x80", "a replacement of such bytes": "\x00\x00\ufffd",
		"an id that is cut": sameStart + "1", "one that may have been cut": sameStart, "no id": "",
	} {
		if got, _ := identify(nil, 0, "u", "shop", id); got != (identity{}) {
			t.Errorf("%s has one", name)
		}
		if got, _ := identify(nil, 0, "u"+id, "shop", "1"); id != "" && got != (identity{}) {
			t.Errorf("%s as a user has one", name)
		}
	}
	a, _ := identify(nil, 0, "u", "shop", "1")
	for _, other := range [][3]string{{"u", "shop", "2"}, {"u", "sho", "p1"}, {"v", "shop", "1"}} {
		if b, _ := identify(nil, 0, other[0], other[1], other[2]); b == a || b == (identity{}) {
			t.Errorf("%q is taken for another", other)
		}
	}
}
