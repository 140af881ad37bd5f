package rules

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The types of a field.
const (
	typeText    = "text"
	typeNumber  = "number"
	typeBoolean = "boolean"
	typeDate    = "date"
	typeTime    = "time"
	typeList    = "list"
)

// typed is a value as the field's type has it, whatever form the system gives it: HubSpot says everything as text, times in
// milliseconds, lists with semicolons. An empty text is no value, but of a text.
func typed(kind string, v any) (any, error) {
	if s, ok := v.(string); ok && s == "" && kind != typeText && kind != "" {
		return nil, nil
	}
	if v == nil || kind == "" {
		return v, nil
	}
	switch kind {
	case typeText:
		return text(v)
	case typeNumber:
		return number(v)
	case typeBoolean:
		return boolean(v)
	case typeDate:
		t, err := moment(v)
		if err != nil {
			return nil, fmt.Errorf("want a date: %w", err)
		}
		return t.UTC().Format(time.DateOnly), nil
	case typeTime:
		t, err := moment(v)
		if err != nil {
			return nil, fmt.Errorf("want a time: %w", err)
		}
		return t.UTC().Format(time.RFC3339Nano), nil
	}
	return items(v)
}

func text(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case map[string]any, []any:
		return nil, fmt.Errorf("want a text")
	}
	written, err := encode(nil, v)
	return string(written), err
}

func number(v any) (any, error) {
	switch n := v.(type) {
	case string:
		if n = strings.TrimSpace(n); isNumber(n) {
			return json.Number(n), nil
		}
	case json.Number, int, float64, *big.Int:
		return n, nil
	}
	return nil, fmt.Errorf("want a number")
}

func boolean(v any) (any, error) {
	switch b := v.(type) {
	case bool:
		return b, nil
	case string:
		switch strings.ToLower(b) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return nil, fmt.Errorf("want true or false")
}

func items(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		return v, nil
	case string:
		var list []any
		for item := range strings.SplitSeq(v, ";") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("want a list, or texts apart by semicolons")
}

// layouts of times: RFC 3339, and what Salesforce's REST interface writes.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", time.DateOnly}

// moment reads a time: ISO 8601, or milliseconds since 1970.
func moment(v any) (time.Time, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = strings.TrimSpace(v)
	case json.Number:
		s = string(v)
	case int:
		s = strconv.Itoa(v)
	default:
		return time.Time{}, fmt.Errorf("ISO 8601, or milliseconds since 1970")
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	const end = 253402300800000 // of the year 9999
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms > -end && ms < end {
		return time.UnixMilli(ms).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("ISO 8601, or milliseconds since 1970")
}

// isNumber reports whether a text is a number as JSON writes one.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, fraction, has := strings.Cut(s, ".")
	exponent := ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		exponent = strings.TrimLeft(s[i+1:], "+-")
		if len(s[i+1:])-len(exponent) > 1 || !digits(exponent) {
			return false
		}
		whole, fraction, has = strings.Cut(s[:i], ".")
	}
	return digits(whole) && (whole == "0" || whole[0] != '0') && (!has || digits(fraction))
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// plain is a value as one text that all its forms share, for comparing: true and "true", 12.50 and "12.5", null and "", a
// moment in every zone. Kind is the field's type, or empty for one that has none.
func plain(kind string, v any) any {
	if t, err := typed(kind, v); err == nil {
		v = t
	}
	switch w := v.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(w)
	case string:
		return plainText(kind, w)
	case json.Number:
		return shortest(string(w))
	case int:
		return strconv.Itoa(w)
	case float64:
		if !math.IsNaN(w) && !math.IsInf(w, 0) {
			return shortest(strconv.FormatFloat(w, 'f', -1, 64))
		}
	case []any:
		if kind != typeList {
			return w
		}
		list := make([]string, len(w)) // the order of a list of choices is nobody's edit
		for i, item := range w {
			list[i] = fmt.Sprint(plain("", item))
		}
		slices.Sort(list)
		return strings.Join(list, ";")
	}
	return v
}

func plainText(kind, s string) string {
	switch kind {
	case typeText:
		return s
	case typeDate:
		return s
	}
	if len(s) >= len("2006-01-02T15:04:05Z") && s[4] == '-' {
		for _, layout := range layouts[:2] {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC().Format(time.RFC3339Nano)
			}
		}
	}
	if isNumber(s) {
		return shortest(s)
	}
	return s
}

// shortest is a decimal number without the zeros that say nothing. What has an exponent stays as it is.
func shortest(s string) string {
	if strings.Contains(s, ".") && !strings.ContainsAny(s, "eE") {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}
