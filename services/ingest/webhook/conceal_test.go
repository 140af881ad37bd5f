package webhook

import (
	"bytes"
	"testing"
)

// What is concealed is gone, what is not stands where it stood, and no body is too strange for it.
func FuzzConceal(f *testing.F) {
	for _, body := range []string{
		"<a><SessionId>t</SessionId></a>", "<x:SessionId a='b'>t</x:SessionId>", "<SessionId/>t", "<SessionId", "<SessionId>t</Session", "</SessionId>", "<SessionId>a</b>t</SessionId >", "\xff", "",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		conceal(body, []string{"SessionId"})
		if len(body) != len(before) {
			t.Fatalf("%d bytes of %d", len(body), len(before))
		}
		for i := range body {
			if body[i] != before[i] && body[i] != '*' {
				t.Fatalf("byte %d is %q and was %q", i, body[i], before[i])
			}
		}
		if !bytes.Contains(before, []byte("SessionId")) && bytes.IndexByte(before, 0) < 0 && !bytes.Equal(body, before) && !bytes.ContainsRune(before, '\uFFFD') && validUTF8(before) {
			t.Fatalf("%q became %q", before, body)
		}
		again := bytes.Clone(body)
		if conceal(again, []string{"SessionId"}); !bytes.Equal(again, body) {
			t.Fatalf("again %q became %q", body, again)
		}
	})
}

func validUTF8(text []byte) bool { return bytes.Equal(bytes.ToValidUTF8(text, nil), text) }
