package salesforce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// job is one of Bulk API 2.0 (salesforce-docs: api_asynch, ingest).
type job struct {
	*Target
	id    string
	rows  []*target.Row
	field string
	value func(*target.Row) string
}

// states of a job that has ended.
const (
	jobComplete = "JobComplete"
	jobFailed   = "Failed"
	jobAborted  = "Aborted"
)

// jobState is what is read of a job's description.
type jobState struct {
	ID        string `json:"id"`
	State     string `json:"state"`
	Message   string `json:"errorMessage"`
	Processed int    `json:"numberRecordsProcessed"`
}

func (s jobState) ended() bool {
	return s.State == jobComplete || s.State == jobFailed || s.State == jobAborted
}

func (s jobState) word() string { return strings.ToLower(strings.TrimPrefix(s.State, "Job")) }

func (j *job) path(rest string) string { return "/jobs/ingest/" + j.id + rest }

// begin makes the job, fills it and lets it run.
func (j *job) begin(ctx context.Context, rows []byte) *target.Answer {
	order := append([]byte(`{"operation":"upsert","object":`), appendText(nil, j.rows[0].Object)...)
	order = append(order, `,"externalIdFieldName":`...)
	order = appendText(order, j.field)
	order = append(order, `,"contentType":"CSV","lineEnding":"LF"}`...)
	got, failed := j.call(ctx, &request{api: apiBulk, method: http.MethodPost, path: "/jobs/ingest", body: order, rows: len(j.rows)})
	if failed != nil {
		return failed
	}
	var made jobState
	if err := json.Unmarshal(got.body, &made); err != nil {
		a := badAnswer(got, fmt.Errorf("reading the new job: %w", err))
		return &a
	}
	if !plainID(made.ID) {
		a := badAnswer(got, errors.New("reading the new job: it has no id"))
		return &a
	}
	j.id = made.ID
	for _, r := range []request{
		{method: http.MethodPut, path: j.path("/batches"), kind: "text/csv; charset=UTF-8", body: rows},
		{method: http.MethodPatch, path: j.path(""), body: []byte(`{"state":"UploadComplete"}`)},
	} {
		r.api, r.rows, r.must = apiBulk, len(j.rows), true
		if _, failed := j.call(ctx, &r); failed != nil {
			j.abort(ctx)
			return failed
		}
	}
	return nil
}

// await asks until the job has ended. An answer that does not come is no reason to give the job up, nor is a daily limit
// that others have used up meanwhile: what the job does late must not come behind what is sent instead of it.
func (j *job) await(ctx context.Context) (jobState, *target.Answer) {
	deadline := j.now().Add(j.Bulk.Wait)
	for wait := j.Bulk.Poll; ; wait = min(2*wait, max(30*time.Second, j.Bulk.Poll)) {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			j.abort(ctx)
			reason := reasonInterrupted
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				reason = reasonTimeout
			}
			a := target.Deferred(reason, "waiting for a job", 0)
			return jobState{}, &a
		case <-timer.C:
		}
		got, failed := j.call(ctx, &request{api: apiBulk, method: http.MethodGet, path: j.path(""), rows: len(j.rows), must: true})
		if failed == nil {
			var now jobState
			if err := json.Unmarshal(got.body, &now); err == nil && now.ended() {
				return now, nil
			}
		}
		if failed != nil && failed.Halt || j.now().After(deadline) {
			j.abort(ctx)
			if failed == nil {
				a := target.Deferred(reasonTimeout, "the job has not ended", 0)
				failed = &a
			}
			failed.Split, failed.All.Kind = false, outcome.Deferred
			return jobState{}, failed
		}
	}
}

// abort ends a job that nobody waits for any more, as well as it goes. The context may have ended.
func (j *job) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, failed := j.call(ctx, &request{
		api: apiBulk, method: http.MethodPatch, path: j.path(""), body: []byte(`{"state":"Aborted"}`), must: true,
	})
	j.metrics.jobs.WithLabelValues("aborted").Inc()
	if failed != nil {
		j.log.Warn().Str("job", j.id).Str("reason", failed.All.Reason).Msg("a bulk job could not be aborted")
	}
}

// results reads what became of the rows. Those that neither list has are the ones that the third, unprocessedrecords, would
// name: they are deferred without asking. What a list had that could not be read comes again: an upsert may.
func (j *job) results(ctx context.Context) target.Answer {
	a := target.Answer{Each: make([]target.Result, len(j.rows)), Status: http.StatusOK, RequestID: j.id}
	at := make(map[string]int, len(j.rows))
	for i, row := range j.rows {
		at[j.value(row)] = i
		a.Each[i] = unprocessed()
	}
	for _, list := range []struct {
		path string
		fate func(line csvLine) target.Result
	}{
		{"/successfulResults/", func(line csvLine) target.Result {
			return target.Result{Outcome: outcome.Outcome{Kind: outcome.Delivered}, ID: fullID(line.id)}
		}},
		{"/failedResults/", func(line csvLine) target.Result {
			return target.Result{Outcome: fate([]rowError{line.err()})}
		}},
	} {
		got, failed := j.call(ctx, &request{
			api: apiBulk, method: http.MethodGet, path: j.path(list.path), rows: len(j.rows), most: 4 * maxJobBytes, must: true,
		})
		if failed != nil {
			return j.unread(a, *failed)
		}
		err := readCSV(got.body, j.field, func(line csvLine) {
			if i, ok := at[line.key]; ok {
				a.Each[i] = list.fate(line)
			}
		})
		if err != nil {
			return j.unread(a, badAnswer(got, err))
		}
	}
	for _, r := range a.Each {
		if overLimit(r) {
			a.RetryAfter = j.budget.refused(j.now())
			break
		}
	}
	return a
}

// unread is the answer when the rows that were taken are known at most, and not the others.
func (j *job) unread(a, failed target.Answer) target.Answer {
	for i := range a.Each {
		if a.Each[i].Kind != outcome.Delivered {
			a.Each[i].Outcome = outcome.Outcome{Kind: outcome.Deferred, Reason: failed.All.Reason, Detail: failed.All.Detail}
		}
	}
	a.RetryAfter, a.Halt = failed.RetryAfter, failed.Halt
	return a
}

// plainID: the id of a job stands in URLs.
func plainID(id string) bool {
	return len(id) >= 15 && len(id) <= 18 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}
