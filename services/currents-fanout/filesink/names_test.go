package filesink

import (
	"math"
	"path"
	"strings"
	"testing"
	"time"
)

func TestAnyTypeHasAFolderOfItsOwn(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a usual one stays as it is", "users.messages.email.Click", "users.messages.email.Click"},
		{"none at all is null", "", "__HIVE_DEFAULT_PARTITION__"},
		{"the word for null is not", "__HIVE_DEFAULT_PARTITION__", "%5F_HIVE_DEFAULT_PARTITION__"},
		{"slashes make no folders", "../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"},
		{"dots at the end are escaped", "..", ".%2E"},
		{"an equals sign makes no partition", "a=b", "a%3Db"},
		{"a percent sign is no escape", "a%2Fb", "a%252Fb"},
		{"letters of other languages go byte by byte", "grüße", "gr%C3%BC%C3%9Fe"},
		{"what is not UTF-8 too", "\xff", "%FF"},
		{"a tilde is ours", "a~b", "a%7Eb"},
		{"a long one ends in a hash", strings.Repeat("x", 10_000), strings.Repeat("x", 100) + "~"},
		{"an escape is not cut in two", strings.Repeat("x", 98) + strings.Repeat("ü", 50), strings.Repeat("x", 98) + "~"},
	} {
		got := partitionValue(c.in)
		if cut, hash, ok := strings.Cut(got, "~"); ok {
			if cut+"~" != c.want || len(hash) != 32 {
				t.Errorf("%s: %s", c.name, got)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDatesThatSQLHasNotAreNull(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 9, 1, 23, 59, 59, 0, time.UTC), "2026-09-01"},
		{time.Date(2026, 9, 2, 1, 0, 0, 0, time.FixedZone("", 2*3600)), "2026-09-01"},
		{time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC), "1969-12-31"},
		{time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), "1969-12-31"},
		{time.Time{}, "0001-01-01"},
		{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), nullPartition},
		{time.Unix(math.MinInt32*secondsOfDay, 0), nullPartition},
	} {
		if got := dateValue(dayOf(c.at)); got != c.want {
			t.Errorf("%v: %s, want %s", c.at, got, c.want)
		}
	}
}

// FuzzPartitionValue holds that two types never share a folder and that none leaves its own.
func FuzzPartitionValue(f *testing.F) {
	f.Add("users.messages.email.Click", "users.messages.email.click")
	f.Add("", "__HIVE_DEFAULT_PARTITION__")
	f.Add("a/../b", "a%2F..%2Fb")
	f.Add(strings.Repeat("ü", 99), strings.Repeat("ü", 100))
	f.Add("..", "..")
	f.Fuzz(func(t *testing.T, a, b string) {
		one, other := partitionValue(a), partitionValue(b)
		if (one == other) != (a == b) {
			t.Errorf("%q and %q: %s and %s", a, b, one, other)
		}
		for _, v := range []string{one, other} {
			if len(v) == 0 || len(v) > 200 || strings.ContainsAny(v, "/\\=*?[] \"'{}:|<>") || strings.HasSuffix(v, ".") {
				t.Errorf("not fit for a path: %q", v)
			}
			for _, c := range []byte(v) {
				if c <= ' ' || c > '~' {
					t.Errorf("not printable: %q", v)
				}
			}
			if p := "event_type=" + v + "/x"; path.Clean(p) != p || strings.Contains(p, "../") {
				t.Errorf("leaves its folder: %q", v)
			}
		}
	})
}
