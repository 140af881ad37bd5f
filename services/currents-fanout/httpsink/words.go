package httpsink

import (
	"net/http"
	"strconv"
	"strings"
	"unicode"
)

// longestWords bounds what is kept of an answer for people to read.
const longestWords = 2 << 10

// printable is the beginning of an answer as it may stand in a log or a dead letter: on one line,
// nothing in it that a terminal obeys.
func printable(text []byte) string {
	cut := len(text) > longestWords
	if cut {
		text = text[:longestWords]
	}
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(text), "\uFFFD"))
	clean = strings.Join(strings.Fields(clean), " ")
	if cut {
		clean += "…"
	}
	return clean
}

// statusText is a status as people know it.
func statusText(status int) string {
	text := "answered " + strconv.Itoa(status)
	if name := http.StatusText(status); name != "" {
		text += " " + name
	}
	return text
}
