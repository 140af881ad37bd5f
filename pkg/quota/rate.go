package quota

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is a number of requests per length of time. Its text form is "3000/3s"; "100/s" and "250000/h"
// are understood too. It is an [encoding.TextUnmarshaler], so configuration can hold it as it is.
type Rate struct {
	Count int
	Per   time.Duration
}

// Bounds of a Rate. Beyond them lies a slip of the pen rather than anybody's quota.
const (
	maxCount = 1_000_000_000
	minPer   = time.Millisecond
	maxPer   = 31 * 24 * time.Hour
)

// ParseRate reads the text form of a Rate.
func ParseRate(text string) (Rate, error) {
	count, per, found := strings.Cut(strings.TrimSpace(text), "/")
	if !found {
		return Rate{}, errors.New("requests per time, such as 3000/3s")
	}
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil || n < 1 || n > maxCount {
		return Rate{}, fmt.Errorf("requests per time, such as 3000/3s, with a count from 1 to %d", maxCount)
	}
	per = strings.TrimSpace(per)
	if per != "" && (per[0] < '0' || per[0] > '9') {
		per = "1" + per // "100/s"
	}
	d, err := time.ParseDuration(per)
	if err != nil || d < minPer || d > maxPer {
		return Rate{}, errors.New("requests per time, such as 3000/3s, with a time such as 3s, 1m or 1h")
	}
	return Rate{Count: n, Per: d}, nil
}

// UnmarshalText reads the text form.
func (r *Rate) UnmarshalText(text []byte) error {
	parsed, err := ParseRate(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// MarshalText writes the text form; that of the zero Rate is empty.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String is the text form, without the zero units that [time.Duration] prints: "250000/1h".
func (r Rate) String() string {
	if r.IsZero() {
		return ""
	}
	per := r.Per.String()
	if strings.HasSuffix(per, "m0s") {
		per = strings.TrimSuffix(per, "0s")
	}
	if strings.HasSuffix(per, "h0m") {
		per = strings.TrimSuffix(per, "0m")
	}
	return strconv.Itoa(r.Count) + "/" + per
}

// IsZero reports whether there is no rate at all, which a [Quota] takes as no limit.
func (r Rate) IsZero() bool { return r.Count <= 0 || r.Per <= 0 }
