package braze_test

import (
	"math"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
)

func TestAppendString(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain text stands for itself", "tier", `"tier"`},
		{"the empty string is two quotes", "", `""`},
		{"quotes and backslashes are escaped", `a"b\c`, `"a\"b\\c"`},
		{"control characters take their short forms where there are some", "\b\f\n\r\t\x00\x1f", `"\b\f\n\r\t\u0000\u001f"`},
		{"what JSON does not ask to escape is left alone", "</script>\x7f&\u2028", "\"</script>\x7f&\u2028\""},
		{"characters beyond ASCII are left alone", "Grüße 🙂", `"Grüße 🙂"`},
		{"a real U+FFFD is left alone", "\ufffd", "\"\ufffd\""},
		{"bytes that are not UTF-8 are replaced one by one", "a\xff\xfeb", "\"a\ufffd\ufffdb\""},
		{"half a character is replaced", "\xf0\x9f\x99", "\"\ufffd\ufffd\ufffd\""},
		{"a surrogate written as UTF-8 is replaced", "\xed\xa0\x80", "\"\ufffd\ufffd\ufffd\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(braze.AppendString([]byte("before "), tt.in)); got != "before "+tt.want {
				t.Errorf("got %s, want before %s", got, tt.want)
			}
		})
	}
}

// FuzzAppendString compares with jsontext, which writes the same form.
func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("\x00\x1f\"\\\u2028\xff\xf0\x9f\x99\x82")
	f.Fuzz(func(t *testing.T, s string) {
		want, _ := jsontext.AppendQuote(nil, s) // the error is that of invalid UTF-8, replaced all the same
		if got := braze.AppendString(nil, s); string(got) != string(want) {
			t.Errorf("AppendString(%q) = %s, want %s", s, got, want)
		}
	})
}

const layout = `"2006-01-02T15:04:05.000Z"`

func TestAppendTime(t *testing.T) {
	tests := []struct {
		name string
		in   time.Time
		want string
	}{
		{"milliseconds are cut and not rounded", time.Date(2026, 3, 4, 5, 6, 7, 999_999_999, time.UTC), `"2026-03-04T05:06:07.999Z"`},
		{"other zones become UTC", time.Date(2026, 1, 1, 0, 30, 0, 0, time.FixedZone("", 3600)), `"2025-12-31T23:30:00.000Z"`},
		{"a leap day is one", time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC), `"2024-02-29T23:59:59.000Z"`},
		{"before 1970 the milliseconds still count forward", time.Date(1969, 12, 31, 23, 59, 59, 1_000_000, time.UTC), `"1969-12-31T23:59:59.001Z"`},
		{"the zero time is the year 1", time.Time{}, `"0001-01-01T00:00:00.000Z"`},
		{"what is before the year 0 becomes its first moment", time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), `"0000-01-01T00:00:00.000Z"`},
		{"what is after the year 9999 becomes its last moment", time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), `"9999-12-31T23:59:59.999Z"`},
		{"the most distant future does not wrap round", time.Unix(math.MaxInt64/2, 0), `"9999-12-31T23:59:59.999Z"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(braze.AppendTime(nil, tt.in)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestEveryDayOfFourCenturiesIsWrittenAsTheStandardLibraryDoes(t *testing.T) {
	at := time.Date(0, 1, 1, 3, 4, 5, 678e6, time.UTC)
	for range 401 * 366 {
		if got, want := string(braze.AppendTime(nil, at)), at.Format(layout); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		at = at.AddDate(0, 0, 1)
	}
}

// FuzzAppendTime compares with the standard library.
func FuzzAppendTime(f *testing.F) {
	f.Add(int64(1772600767), int64(890_123_456))
	f.Add(int64(-62167219200), int64(0))
	f.Add(int64(253402300799), int64(999_999_999))
	f.Fuzz(func(t *testing.T, s, ns int64) {
		at := time.Unix(s%253402300800, ns%1e9).UTC()
		if at.Year() < 0 || at.Year() > 9999 {
			return
		}
		if got, want := string(braze.AppendTime(nil, at)), at.Format(layout); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func BenchmarkAppendString(b *testing.B) {
	for name, s := range map[string]string{
		"id": "crm-1001-2002-3003", "sentence": "an invoice was issued and paid on the same day, as it should be",
		"german": "Grüße aus Österreich, wo die Rechnungen pünktlich bezahlt werden", "escaped": "a \"quoted\" word\nand a line",
	} {
		b.Run(name, func(b *testing.B) {
			var dst []byte
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				dst = braze.AppendString(dst[:0], s)
			}
		})
	}
}

func BenchmarkAppendTime(b *testing.B) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)
	var dst []byte
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst = braze.AppendTime(dst[:0], at)
		}
	})
	b.Run("standard", func(b *testing.B) {
		for b.Loop() {
			dst = at.AppendFormat(dst[:0], layout)
		}
	})
}
