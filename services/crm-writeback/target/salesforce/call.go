package salesforce

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// What the calls are counted under.
const (
	apiCollections = "collections"
	apiQuery       = "query"
	apiBulk        = "bulk"
)

// largest bounds what is read of an answer; two hundred rows with a page of words each are less.
const largest = 16 << 20

// request is one call.
type request struct {
	api    string
	method string
	path   string // below /services/data/v61.0, escaped
	query  string
	kind   string // content type; JSON when empty
	body   []byte
	rows   int   // that it is about; more than one may be split
	most   int64 // bytes of an answer; largest when 0
	must   bool  // whatever the budget says
}

// reply is an answer with a status of success.
type reply struct {
	status int
	body   []byte
	id     string
}

// call makes a request, and once more with a new token where the old one has expired. What is not a success is an
// answer for all its rows.
func (t *Target) call(ctx context.Context, r *request) (reply, *target.Answer) {
	for attempt := 0; ; attempt++ {
		held, fresh, err := t.sessions.get(ctx)
		if err != nil {
			a := noToken(ctx, err)
			return reply{}, &a
		}
		if fresh {
			t.metrics.tokens.Inc()
		}
		if r.must {
			t.budget.spend(t.now())
		} else if wait := t.budget.take(t.now()); wait > 0 {
			a := target.Deferred(reasonDailyLimit, "the daily budget of calls is spent", wait)
			return reply{}, &a
		}
		got, header, err := t.do(ctx, held, r)
		if err != nil {
			t.metrics.calls.WithLabelValues(r.api, "none").Inc()
			a := unreachable(ctx, err)
			a.RequestID = got.id
			return reply{}, &a
		}
		t.metrics.calls.WithLabelValues(r.api, strconv.Itoa(got.status)).Inc()
		t.learn(header)
		if got.status == http.StatusUnauthorized {
			t.sessions.drop(held)
			if attempt == 0 {
				continue
			}
		}
		if got.status >= 200 && got.status < 300 {
			return got, nil
		}
		a := t.classify(got, header, r.rows)
		return got, &a
	}
}

func (t *Target) do(ctx context.Context, held *session, r *request) (reply, http.Header, error) {
	got := reply{id: newID()}
	u := *held.base
	u.Path = t.path + r.path
	u.RawQuery = r.query
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return got, nil, err
	}
	if len(r.body) > 0 {
		req.Header.Set("Content-Type", "application/json; charset=UTF-8")
		if r.kind != "" {
			req.Header.Set("Content-Type", r.kind)
		}
	}
	req.Header.Set("Authorization", "Bearer "+held.token)
	req.Header.Set("Accept", "application/json")
	if r.kind != "" || r.api == apiBulk && r.method == http.MethodGet {
		req.Header.Set("Accept", "application/json, text/csv")
	}
	req.Header.Set("Sforce-Call-Options", "client="+t.Client)
	req.Header.Set("X-Request-Id", got.id)
	if t.AllowDuplicates {
		req.Header.Set("Sforce-Duplicate-Rule-Header", "allowSave=true")
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return got, nil, err
	}
	defer resp.Body.Close()
	most := r.most
	if most == 0 {
		most = largest
	}
	got.status = resp.StatusCode
	if id := resp.Header.Get("X-Sfdc-Request-Id"); id != "" && len(id) <= 100 {
		got.id = id
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return got, nil, err
	}
	if int64(len(body)) > most {
		return got, nil, errTooLong
	}
	got.body = body
	return got, resp.Header, nil
}

// learn exports what an answer says of the org's limit, and remembers it.
func (t *Target) learn(header http.Header) {
	used, limit, ok := usage(header.Get("Sforce-Limit-Info"))
	if !ok {
		return
	}
	t.budget.learn(used, limit, t.now())
	t.metrics.used.Set(float64(used))
	t.metrics.limit.Set(float64(limit))
}

// pause is what an answer asks for in Retry-After, which Salesforce sends seldom and a proxy before it often.
func pause(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return min(time.Duration(seconds)*time.Second, time.Hour)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(at), 0), time.Hour)
	}
	return 0
}

// newID is the id of a call where Salesforce gives it none.
func newID() string {
	var id [12]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
