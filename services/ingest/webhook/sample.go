package webhook

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

// ReadSample reads a recorded call: a body alone, or headers, an empty line and the body, with a
// request line before the headers or not. Line ends may be either kind; the body is what follows, to
// the byte.
//
//	X-Shopify-Topic: orders/create
//	X-Shopify-Shop-Domain: store.example.com
//
//	{"id": 5912345678901234567, …}
func ReadSample(text []byte, now time.Time) (*Request, error) {
	r := &Request{Method: http.MethodPost, URL: &url.URL{Path: "/"}, Header: http.Header{}, Received: now, Body: text}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if line := strings.TrimSpace(string(first)); !beginsHead(line) {
		return r, nil
	}
	reader := bufio.NewReader(bytes.NewReader(text))
	head := textproto.NewReader(reader)
	if method, target, isRequest := requestLine(string(first)); isRequest {
		if _, err := head.ReadLine(); err != nil {
			return nil, fmt.Errorf("reading the request line: %w", err)
		}
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return nil, fmt.Errorf("reading the request line: %w", err)
		}
		r.Method, r.URL = method, u
	}
	header, err := head.ReadMIMEHeader()
	if err != nil {
		return nil, fmt.Errorf("reading the headers, which end with an empty line: %w", err)
	}
	r.Header, r.Host = http.Header(header), header.Get("Host")
	var body bytes.Buffer
	if _, err := body.ReadFrom(reader); err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	r.Body = body.Bytes()
	return r, nil
}

// beginsHead reports whether a file's first line is a header or a request line, and not the beginning
// of a body.
func beginsHead(line string) bool {
	if _, _, ok := requestLine(line); ok {
		return true
	}
	name, _, found := strings.Cut(line, ":")
	return found && name != "" && strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

func requestLine(line string) (method, target string, ok bool) {
	words := strings.Fields(line)
	if len(words) < 2 || len(words) > 3 || !strings.HasPrefix(words[1], "/") || words[0] != strings.ToUpper(words[0]) {
		return "", "", false
	}
	return words[0], words[1], len(words) == 2 || strings.HasPrefix(words[2], "HTTP/")
}
