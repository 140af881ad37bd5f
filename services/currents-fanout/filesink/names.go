package filesink

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Folders beside the data. They begin with an underscore, since Spark, Hive and Athena pass over such.
const (
	intentFolder   = "_stretches/"
	manifestFolder = "_manifest/"
)

// nullPartition is what Hive and all that came after it read as null.
const nullPartition = "__HIVE_DEFAULT_PARTITION__"

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// partitionValue is any text as the value of a partition in a path: letters, digits and ._- as they
// are, everything else as %XX, as Hive escapes it. Two texts never have the same one, as long as
// SHA-256 holds, and none leaves its folder:
//
//   - a dot at the end is escaped, since "../" would not be left alone by object stores;
//   - what looks like [nullPartition] is escaped, since that is the value of the empty text;
//   - what is too long for a file's name is cut, and "~" and a hash of the whole stand for the rest.
func partitionValue(s string) string {
	const longest, kept, digits = 160, 100, "0123456789ABCDEF"
	if s == "" {
		return nullPartition
	}
	b := make([]byte, 0, min(len(s), longest)+3)
	for i := 0; i < len(s) && len(b) <= longest; i++ {
		c := s[i]
		last := i == len(s)-1
		switch {
		case isLetter(c), isDigit(c), c == '-', c == '.' && !last, c == '_' && !(i == 0 && strings.HasPrefix(s, "__HIVE")):
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	if len(b) <= longest {
		return string(b)
	}
	head := string(b[:kept])
	if i := strings.LastIndexByte(head, '%'); i > kept-3 {
		head = head[:i]
	}
	sum := sha256.Sum256([]byte(s))
	return head + "~" + hex.EncodeToString(sum[:16])
}

// dateValue is a day, counted from 1970 in UTC, as the value of a partition. Years that a date cannot
// have in SQL are null.
func dateValue(day int64) string {
	t := time.Unix(day*secondsOfDay, 0).UTC()
	if y := t.Year(); y < 1 || y > 9999 {
		return nullPartition
	}
	return t.Format(time.DateOnly)
}

const secondsOfDay = 24 * 60 * 60

// dayOf is the day of a time, in UTC.
func dayOf(t time.Time) int64 {
	s := t.Unix()
	day := s / secondsOfDay
	if s%secondsOfDay < 0 {
		day--
	}
	return day
}

// partitionPrefix is how the names of a partition's stretches begin, and stretchName one of them. The
// offset has all the digits it can have, so that names sort as offsets do.
func partitionPrefix(topic string, partition int32) string {
	return fmt.Sprintf("%s-%d-", partitionValue(topic), partition)
}

func stretchName(topic string, partition int32, first int64) string {
	return fmt.Sprintf("%s%020d", partitionPrefix(topic, partition), first)
}
