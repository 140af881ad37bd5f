package salesforce

import "strings"

// name reports whether a text can be the API name of an object or a field. Names stand in URLs, in queries and in
// CSV headers, so nothing else gets that far.
func name(text string) bool {
	if text == "" || len(text) > 80 || !letter(text[0]) {
		return false
	}
	for i := 1; i < len(text); i++ {
		if c := text[i]; !letter(c) && c != '_' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// fullID makes an id of 15 characters, in which case counts, one of 18, in which it does not: three characters say
// which of the letters are capitals. Both are the same record, so only one form may ever leave here.
func fullID(id string) string {
	if len(id) != 15 {
		return id
	}
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	out := make([]byte, 15, 18)
	copy(out, id)
	for group := 0; group < 15; group += 5 {
		sum := 0
		for i := range 5 {
			if c := id[group+i]; c >= 'A' && c <= 'Z' {
				sum |= 1 << i
			}
		}
		out = append(out, digits[sum])
	}
	return string(out)
}

// word makes of a statusCode a reason: UNABLE_TO_LOCK_ROW becomes unable_to_lock_row. What does not look like one
// is an answer we do not understand, and must not become a label of a metric.
func word(code string) string {
	if code == "" || len(code) > 64 {
		return reasonRowError
	}
	for i := range len(code) {
		if c := code[i]; (c < 'A' || c > 'Z') && c != '_' && (c < '0' || c > '9') {
			return reasonRowError
		}
	}
	return strings.ToLower(code)
}
