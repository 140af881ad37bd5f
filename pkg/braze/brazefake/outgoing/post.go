package outgoing

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 10

// maxDetail is how much of it is shown to people.
const maxDetail = 300

// send makes the call for a batch, and then what comes of it.
func (c *Connector) send(ctx context.Context, b *batch) {
	body := []byte(`{"events":[`)
	for i, e := range b.entries {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, e.JSON...)
	}
	began := time.Now()
	status, detail := c.post(ctx, append(body, "]}"...))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying--
	if ctx.Err() != nil && status == 0 {
		b.due = time.Time{} // interrupted by ourselves: nobody has failed
		c.waiting = append(c.waiting, b)
		return
	}
	c.react(b, status, detail, began)
	c.nudge()
}

// introduce makes the calls with which Braze looks whether the credentials are good: one without a body,
// one without events (braze-docs: custom_http_connector). Only an answer that says they are not matters.
func (c *Connector) introduce(ctx context.Context) {
	for _, body := range []string{"", `{"events":[]}`} {
		began := time.Now()
		status, detail := c.post(ctx, []byte(body))
		c.mu.Lock()
		reaction := "credentials shown"
		if status == http.StatusUnauthorized || status == http.StatusForbidden {
			c.stop(status, detail)
			reaction = "stopped"
		}
		c.note(Call{At: began, Status: status, Detail: detail, Reaction: reaction})
		c.mu.Unlock()
	}
}

// post makes a call. Status 0 is a call without an answer.
func (c *Connector) post(ctx context.Context, body []byte) (status int, detail string) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.options.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(VersionHeader, Version)
	if c.options.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.options.Token)
	}
	return do(c.options.Client, req)
}

// do makes a call and reads the beginning of its answer.
func do(client *http.Client, req *http.Request) (status int, detail string) {
	status, _, detail = exchange(client, req)
	return status, detail
}

func exchange(client *http.Client, req *http.Request) (status int, h http.Header, detail string) {
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status is what counts
	return resp.StatusCode, resp.Header, string(bytes.ToValidUTF8(text[:min(len(text), maxDetail)], nil))
}
