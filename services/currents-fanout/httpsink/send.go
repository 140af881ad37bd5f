package httpsink

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// send sends the request at hand, once more with a new token where the old one is not good any more.
func (s *Sink) send(ctx context.Context, w *work) verdict {
	body, err := s.compress(w)
	if err != nil {
		return deferred(reasonUnusable, err.Error())
	}
	id := ""
	if s.needsID() {
		id = s.id(w)
	}
	token, failed := s.token(ctx)
	if failed != nil {
		return *failed
	}
	v, status := s.once(ctx, w, body, id, token)
	if status == http.StatusUnauthorized && token != nil {
		s.tokens.drop(token)
		if token, failed = s.token(ctx); failed != nil {
			return *failed
		}
		v, _ = s.once(ctx, w, body, id, token)
	}
	return v
}

// once is one request and its answer.
func (s *Sink) once(ctx context.Context, w *work, body []byte, id string, token *oauth2.Token) (verdict, int) {
	header, err := s.headerOf(id, body, token)
	if err != nil {
		return halted(reasonUnusable, err.Error()), 0
	}
	bounded, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	p := &payload{data: body}
	defer p.revoke()
	address := s.addressOf(id)
	r := (&http.Request{
		Method: s.Method, URL: address, Host: address.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: int64(len(body)),
		Body: &payloadReader{payload: p}, GetBody: p.reader,
	}).WithContext(bounded)

	start := time.Now()
	resp, err := s.transport.RoundTrip(r)
	if err != nil {
		s.metrics.failed(len(body), time.Since(start))
		return s.failure(ctx, bounded, err), 0
	}
	defer resp.Body.Close()
	v := s.read(ctx, w, resp)
	s.metrics.answered(resp.StatusCode, len(body), time.Since(start))
	return v, resp.StatusCode
}

// headerOf are the headers of one request; those that are the same for all are shared.
func (s *Sink) headerOf(id string, body []byte, token *oauth2.Token) (http.Header, error) {
	if token == nil && s.IDHeader == "" && len(s.signers) == 0 {
		return s.header, nil
	}
	h := s.header.Clone()
	if token != nil {
		h.Set("Authorization", token.Type()+" "+token.AccessToken)
	}
	if s.IDHeader != "" {
		h.Set(s.IDHeader, id)
	}
	if len(s.signers) == 0 {
		return h, nil
	}
	return h, s.sign(h, id, time.Now(), body)
}

// addressOf is the URL of one request.
func (s *Sink) addressOf(id string) *url.URL {
	if len(s.query) == 0 {
		return s.url
	}
	u := *s.url
	var b strings.Builder
	b.WriteString(u.RawQuery)
	for _, p := range s.query {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name) + "=" + url.QueryEscape(strings.ReplaceAll(p.value, batchIDMark, id)))
	}
	u.RawQuery = b.String()
	return &u
}

// Bounds on what is read of an answer that nobody needs: a little more, so that the connection can be
// used again, and never all of a body without an end.
const maxDrained = 64 << 10

// read says what an answer means. It reads no more of it than it needs.
func (s *Sink) read(ctx context.Context, w *work, resp *http.Response) verdict {
	status := resp.StatusCode
	if status == http.StatusOK && resp.Header.Get("X-Clickhouse-Exception-Code") != "" {
		status = http.StatusInternalServerError // ClickHouse fell over something after it had begun to answer
	}
	r := reply{status: status, took: s.took(status), header: resp.Header, at: time.Now(), items: len(w.items)}
	w.answer.Reset()
	var err error
	switch {
	case s.verdicts != nil:
		_, err = w.answer.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	case !r.took:
		_, err = w.answer.ReadFrom(io.LimitReader(resp.Body, longestWords+1))
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrained)
	if !r.took {
		r.words = printable(w.answer.Bytes())
	}
	v := classify(r)
	if s.verdicts == nil {
		return v
	}
	return s.consult(ctx, v, status, bytes.TrimSpace(w.answer.Bytes()), err == nil, len(w.items))
}

// failure is what it means that no answer came.
func (s *Sink) failure(ctx, bounded context.Context, err error) verdict {
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return deferred(reasonInterrupted, "")
	case bounded.Err() != nil:
		return deferred(reasonTimeout, "no answer within "+s.Timeout.String())
	case errors.As(err, &certificate):
		return halted(reasonCertificate, printable([]byte(withoutURL(err).Error())))
	}
	return deferred(reasonUnreachable, printable([]byte(withoutURL(err).Error())))
}

// withoutURL is an error without the address that net/http and net/url put into theirs: there may be a key
// in it.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return withoutURL(u.Err)
	}
	return err
}
