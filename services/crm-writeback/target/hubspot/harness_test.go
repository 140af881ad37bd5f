package hubspot

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/crm/hubspotfake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

func row(id, key, mode, fields string) *target.Row {
	return &target.Row{
		ID: id, Object: "contacts", KeyField: "braze_external_id", Key: key, Mode: mode, Fields: jsontext.Value(fields),
		User: event.User{ExternalID: key}, EditedAt: time.Date(2026, 3, 2, 9, 15, 1, 476_000_000, time.UTC),
	}
}

func rows(n int, mode, fields string) []*target.Row {
	all := make([]*target.Row, n)
	for i := range all {
		all[i] = row(fmt.Sprintf("w-%06d", i), fmt.Sprintf("crm-%04d", i), mode, fields)
	}
	return all
}

// portal is a target and the sandbox that it writes to.
type portal struct {
	*hubspotfake.Sandbox
	target.Target
}

func open(t testing.TB, fake hubspotfake.Options, o Options) portal {
	t.Helper()
	s := hubspotfake.New(fake)
	return portal{s, against(t, s, o, nil)}
}

// against opens a target for a handler; the zero Options stand for a private app.
func against(t testing.TB, h http.Handler, o Options, now func() time.Time) target.Target {
	t.Helper()
	far := httptest.NewServer(h)
	t.Cleanup(far.Close)
	o.URL = far.URL
	if o.OAuth.ClientID == "" && o.Token == "" {
		o.Token = config.Secret(hubspotfake.DefaultToken)
	}
	made, err := Open(t.Context(), o, target.Deps{Name: "crm", HTTP: far.Client(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Close(); err != nil {
			t.Error(err)
		}
	})
	return made
}

// fates are what became of n rows, in short: the kind and the reason.
func fates(a target.Answer, n int) []string {
	texts := make([]string, n)
	for i := range texts {
		o := a.Of(i)
		texts[i] = o.Kind.String()
		if o.Reason != "" {
			texts[i] += " " + o.Reason
		}
	}
	return texts
}

// always answers with a status and a body.
func always(status int, body string, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

const update, upsert, note = crm.Update, crm.Upsert, crm.Note
