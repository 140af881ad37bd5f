package ingest

import (
	"errors"
	"mime"
	"net/http"
	"strings"
)

// postItems answers POST /v1/events and its like, whose bodies are read by parse.
func (s *Service) postItems(route int, parse func(*scanner, []item) ([]item, error)) func(*exchange) error {
	return func(x *exchange) error {
		rq, r := x.rq, x.Request()
		if err := x.authorize(bearer(r), route, errNoKey); err != nil {
			return err
		}
		if !isJSON(r.Header.Get("Content-Type")) {
			return errType
		}
		if err := rq.readBody(r); err != nil {
			return err
		}
		if err := rq.parse(parse); err != nil {
			return err
		}
		rq.holder.checkSources(rq.items)
		x.leave = !rq.accept()
		return x.answerItems()
	}
}

func (rq *request) parse(parse func(*scanner, []item) ([]item, error)) (err error) {
	rq.scan.reset(rq.body)
	rq.items, err = parse(&rq.scan, rq.items[:0])
	var f fault
	switch {
	case errors.As(err, &f):
		return errNotJSON(f)
	case err != nil:
		return errTooManyItems
	}
	return nil
}

// isJSON reports whether a content type says JSON, or nothing.
func isJSON(header string) bool {
	if header == "application/json" || header == "" {
		return true
	}
	kind, params, err := mime.ParseMediaType(header)
	if err != nil || kind != "application/json" && !(strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")) {
		return false
	}
	charset := params["charset"]
	return charset == "" || strings.EqualFold(charset, "utf-8")
}

// answerItems gives each item its verdict: 202 when something was accepted, 422 when nothing could be,
// and 503 when Kafka did not take everything that it was offered, whatever became of the rest.
func (x *exchange) answerItems() error {
	rq := x.rq
	t := rq.tally()
	status := http.StatusAccepted
	switch {
	case t[unavailable] > 0:
		status = http.StatusServiceUnavailable
		x.Response().Header()["Retry-After"] = []string{retryAfter}
	case t[accepted]+t[duplicate] == 0:
		status = http.StatusUnprocessableEntity
	}
	rq.out = rq.appendAnswer(rq.out[:0], &t)
	writeJSON(x, status, rq.out)
	return nil
}

// tally counts the verdicts, and tells the metrics. From then on they do not change.
func (rq *request) tally() tally {
	var t tally
	for i := range rq.items {
		it, v := &rq.items[i], rq.verdictOf(i)
		t[v]++
		switch v {
		case rejected:
			if it.problem.why == fine {
				it.problem.why = refusedByKafka
			}
			rq.counts.reject(it.problem.why)
		case skipped:
			rq.counts.skip(it.why)
		case accepted, duplicate, unavailable, pending: // counted below; none is pending by now
		}
	}
	rq.counts.add(&t)
	return t
}
