package ingest

import (
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

var (
	contentJSON = []string{"application/json"}
	retryAfter  = strconv.Itoa(seconds(retrySoon))
)

// writeJSON answers. That the client may be gone by then is nobody's business here.
func writeJSON(c echo.Context, status int, body []byte) {
	w := c.Response()
	w.Header()["Content-Type"] = contentJSON
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// appendAnswer appends the answer of our own API: counts, and a verdict for each item.
//
//	{"accepted":1,"rejected":1,"results":[{"index":0,"id":"…","status":"accepted"},…]}
func (rq *request) appendAnswer(dst []byte, t *tally) []byte {
	dst = append(dst, `{"accepted":`...)
	dst = strconv.AppendInt(dst, int64(t[accepted]+t[duplicate]), 10)
	dst = append(dst, `,"rejected":`...)
	dst = strconv.AppendInt(dst, int64(t[rejected]), 10)
	if t[unavailable] > 0 {
		dst = append(dst, `,"unavailable":`...)
		dst = strconv.AppendInt(dst, int64(t[unavailable]), 10)
		dst = append(append(dst, ','), errorMember(errKafkaAway)...)
	}
	dst = append(dst, `,"results":[`...)
	for i := range rq.items {
		if i > 0 {
			dst = append(dst, ',')
		}
		it := &rq.items[i]
		dst = append(dst, `{"index":`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		dst = append(dst, `,"id":`...)
		if it.content != nil { // whose id is not its idempotency key
			dst = appendQuoted(dst, shown(it.content.ItemID))
			dst = append(dst, `,"event_id":`...)
		}
		dst = appendQuoted(dst, it.id())
		dst = append(dst, `,"status":"`...)
		v := rq.verdictOf(i)
		dst = append(append(dst, v.String()...), '"')
		if v == rejected {
			if it.problem.field != "" {
				dst = appendQuoted(append(dst, `,"field":`...), shown(it.problem.field))
			}
			dst = appendQuoted(append(dst, `,"reason":`...), it.problem.reason())
		}
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// appendRefusal appends {"error":{"code":…,"message":…,"field":…}}.
func appendRefusal(dst []byte, r *refusal) []byte {
	dst = append(dst, '{')
	dst = append(dst, errorMember(r)...)
	return append(dst, '}')
}

func errorMember(r *refusal) []byte {
	dst := appendQuoted([]byte(`"error":{"code":`), r.code)
	dst = appendQuoted(append(dst, `,"message":`...), r.message)
	if r.field != "" {
		dst = appendQuoted(append(dst, `,"field":`...), r.field)
	}
	return append(dst, '}')
}

// appendQuoted appends a text as a JSON string; what is not UTF-8 is replaced.
func appendQuoted(dst []byte, text string) []byte {
	if plain(view(text), 0) == len(text) {
		return append(append(append(dst, '"'), text...), '"')
	}
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

// longestShown bounds what an answer repeats of a field's name that the client made up.
const longestShown = 100

// shown is a field's name, cut short if it is longer than any field has.
func shown(field string) string {
	if len(field) <= longestShown {
		return field
	}
	cut := longestShown
	for !utf8.RuneStart(field[cut]) {
		cut--
	}
	return field[:cut] + "…"
}
