package brazefake

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

const (
	maxQuestion  = 64 << 10 // bytes of a question's body
	defaultLimit = 100      // entries of a list
	maxLimit     = 10_000
)

// routes sets up everything but /users/track. Questions about the sandbox need no key; what changes it
// is refused to pages of other sites in somebody's browser.
func (s *Sandbox) routes() {
	s.mux = http.NewServeMux()
	inspect := http.NewServeMux()
	inspect.HandleFunc("GET /_sandbox/{$}", s.page)
	inspect.HandleFunc("GET /_sandbox/users", s.getUserBy)
	inspect.HandleFunc("GET /_sandbox/users/{user...}", s.getUser)
	inspect.HandleFunc("GET /_sandbox/events", s.getEvents)
	inspect.HandleFunc("GET /_sandbox/requests", s.getRequests)
	inspect.HandleFunc("GET /_sandbox/violations", s.getViolations)
	inspect.HandleFunc("GET /_sandbox/stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Stats()) })
	inspect.HandleFunc("GET /_sandbox/knobs", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Knobs()) })
	inspect.HandleFunc("PUT /_sandbox/knobs", s.putKnobs)
	inspect.HandleFunc("POST /_sandbox/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	for path, show := range map[string]func(*http.Request) any{
		"calls":         func(r *http.Request) any { return s.calls.last(limit(r), r.FormValue("endpoint")) },
		"sends":         func(r *http.Request) any { return s.sends.last(limit(r), r.FormValue("user")) },
		"subscriptions": func(*http.Request) any { return s.Subscriptions() },
		"changes":       func(r *http.Request) any { return s.changes.last(limit(r), r.FormValue("user")) },
		"catalogs":      func(*http.Request) any { return s.Catalogs() },
		"currents":      s.showCurrents,
		"webhooks":      s.showWebhooks,
		"collector":     func(r *http.Request) any { return s.Collected(limit(r)) },
	} {
		inspect.HandleFunc("GET /_sandbox/"+path, func(w http.ResponseWriter, r *http.Request) { writeJSON(w, http.StatusOK, show(r)) })
	}
	inspect.HandleFunc("POST /_sandbox/currents/enable", s.enableCurrents)
	inspect.HandleFunc("POST /_sandbox/currents/test", s.postTestEvents)
	inspect.HandleFunc("POST /_sandbox/webhooks", s.postWebhook)
	inspect.HandleFunc("POST /_sandbox/collector", s.collect)
	s.serveEndpoints()
	s.mux.Handle("/_sandbox/", http.NewCrossOriginProtection().Handler(inspect))
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/_sandbox/", http.StatusFound)
	})
	s.mux.HandleFunc("/", s.unknown)
}

// unknown answers for addresses that Braze, or this sandbox of it, does not have.
func (s *Sandbox) unknown(w http.ResponseWriter, r *http.Request) {
	s.counters.requests.Add(1)
	status, message := http.StatusNotFound, "no such endpoint: "+r.URL.Path
	if path, slash := strings.CutSuffix(r.URL.Path, "/"); slash && isEndpoint(path) {
		status, message = http.StatusForbidden, "Access Denied: paths have no trailing slash"
	}
	s.counters.status[status].Add(1)
	writeJSON(w, status, map[string]string{"message": message})
}

// getUser answers GET /_sandbox/users/{user}, an external id or any other canonical id.
func (s *Sandbox) getUser(w http.ResponseWriter, r *http.Request) {
	s.writeUser(w, r.PathValue("user"))
}

// getUserBy answers GET /_sandbox/users?alias=label:name, ?email= and ?phone=.
func (s *Sandbox) getUserBy(w http.ResponseWriter, r *http.Request) {
	for _, kind := range []string{"alias", "email", "phone"} {
		if value := r.FormValue(kind); value != "" {
			s.writeUser(w, kind+":"+value)
			return
		}
	}
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": "ask by alias=label:name, email or phone, or for /_sandbox/users/{external_id}"})
}

func (s *Sandbox) writeUser(w http.ResponseWriter, user string) {
	profile, found := s.Profile(user)
	if !found {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "no such user: " + user})
		return
	}
	writeJSON(w, http.StatusOK, profile)
}

// getEvents answers GET /_sandbox/events?user=&name=&limit= with the events and purchases that came in
// last, the newest first.
func (s *Sandbox) getEvents(w http.ResponseWriter, r *http.Request) {
	user, name := r.FormValue("user"), r.FormValue("name")
	writeJSON(w, http.StatusOK, s.log.last(limit(r), func(e *Received) bool {
		return e.Array != 0 && (user == "" || e.User == user) && (name == "" || e.Name == name)
	}))
}

func (s *Sandbox) getRequests(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.requests.last(limit(r)))
}

func (s *Sandbox) getViolations(w http.ResponseWriter, _ *http.Request) {
	list := s.Violations()
	if list == nil {
		list = []string{}
	}
	writeJSON(w, http.StatusOK, list)
}

// limit is how many entries a list shall have.
func limit(r *http.Request) int {
	n, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || n <= 0 {
		return defaultLimit
	}
	return min(n, maxLimit)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
