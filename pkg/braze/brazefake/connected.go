package brazefake

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze/brazefake/outgoing"
	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
)

// showCurrents answers GET /_sandbox/currents?fate=pending&limit= with the books of the connector.
func (s *Sandbox) showCurrents(r *http.Request) any {
	report, _ := s.CurrentsReport(outgoing.Fate(r.FormValue("fate")), limit(r))
	return report
}

// enableCurrents answers POST /_sandbox/currents/enable, as somebody does in Braze's dashboard who has put
// right what stopped it.
func (s *Sandbox) enableCurrents(w http.ResponseWriter, _ *http.Request) {
	r := s.reporter.Load()
	if r == nil {
		writeJSON(w, http.StatusConflict, map[string]string{"error": "no Currents connector is set up"})
		return
	}
	r.connector.Enable()
	w.WriteHeader(http.StatusNoContent)
}

// postTestEvents answers POST /_sandbox/currents/test: one event of each type there is, as Braze's own "Send Test
// Events" has them, about people who do not exist (braze-docs: setting_up_currents).
func (s *Sandbox) postTestEvents(w http.ResponseWriter, _ *http.Request) {
	r := s.reporter.Load()
	if r == nil {
		writeJSON(w, http.StatusConflict, map[string]string{"error": "no Currents connector is set up"})
		return
	}
	dice := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) //nolint:gosec // no secret
	types := currents.Types()
	for i, t := range types {
		body := sample.Event(dice, t.Name, dice.IntN(1<<40)+i)
		var said struct {
			ID string `json:"id"`
		}
		_ = json.Unmarshal(body, &said) // our own
		r.connector.Add(outgoing.Event{ID: said.ID, Type: t.Name, JSON: body})
	}
	writeJSON(w, http.StatusAccepted, map[string]int{"events": len(types)})
}

// asked is the body of POST /_sandbox/webhooks.
type asked struct {
	Name string          `json:"name"`
	User string          `json:"user"`
	Body json.RawMessage `json:"body"`
}

// postWebhook answers POST /_sandbox/webhooks: a campaign's webhook is sent, such as the one for a form that
// somebody has filled in. It goes to the receiver of that name and nowhere else.
func (s *Sandbox) postWebhook(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, why string) { writeJSON(w, status, map[string]string{"error": why}) }
	reporter := s.reporter.Load()
	if reporter == nil || reporter.options.Webhooks == "" {
		refuse(http.StatusConflict, "no receiver of webhooks is set up")
		return
	}
	var a asked
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuestion))
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	switch {
	case err != nil:
		refuse(http.StatusBadRequest, err.Error())
	case a.Name == "" || strings.Trim(a.Name, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "":
		refuse(http.StatusBadRequest, "'name' must be made of small letters, digits, - _ and .")
	case len(a.Body) == 0 || a.Body[0] != '{':
		refuse(http.StatusBadRequest, "'body' must be an object: what the marketer put into the webhook")
	default:
		id, err := reporter.webhook(a)
		if err != nil {
			refuse(http.StatusServiceUnavailable, err.Error())
			return
		}
		writeJSON(w, http.StatusAccepted, map[string]string{"id": id})
	}
}

func (r *reporter) webhook(a asked) (id string, err error) {
	r.mu.Lock()
	r.number++
	id = "hook-" + strconv.Itoa(r.number)
	r.mu.Unlock()
	return id, r.webhooks.Send(outgoing.Webhook{
		ID: id, Name: a.Name, User: a.User, URL: r.options.Webhooks + a.Name, Header: r.options.WebhookHeader, Body: a.Body,
	})
}

// showWebhooks answers GET /_sandbox/webhooks with those sent last and every try of theirs.
func (s *Sandbox) showWebhooks(*http.Request) any {
	r := s.reporter.Load()
	if r == nil {
		return []outgoing.Delivery{}
	}
	return r.webhooks.Log()
}
