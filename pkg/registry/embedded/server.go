package embedded

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sluicehq/sluice/pkg/registry"
)

const (
	// maxBody is the longest request: the longest schema, escaped.
	maxBody = 4 << 20
	// maxSubject is the longest name of a subject: the longest topic's, and what is put behind it.
	maxSubject = 512
	mediaType  = "application/vnd.schemaregistry.v1+json"
)

// server answers with what s knows. Each route returns what is to be encoded, or a problem.
type server struct{ s *subjects }

type route func(*http.Request) (any, error)

// handler is the whole registry as an [http.Handler].
func handler(s *subjects) http.Handler {
	v := server{s}
	mux := http.NewServeMux()
	for pattern, r := range map[string]route{
		"GET /{$}":                 func(*http.Request) (any, error) { return struct{}{}, nil },
		"GET /contexts":            func(*http.Request) (any, error) { return []string{"."}, nil },
		"GET /schemas":             v.listSchemas,
		"GET /schemas/types":       func(*http.Request) (any, error) { return []string{"AVRO"}, nil },
		"GET /schemas/ids/{id}":    v.schemaByID,
		"GET /subjects":            v.listSubjects,
		"POST /subjects/{subject}": v.lookup,

		"GET /schemas/ids/{id}/schema":   v.textByID,
		"GET /schemas/ids/{id}/subjects": v.subjectsByID,
		"GET /schemas/ids/{id}/versions": v.versionsByID,

		"DELETE /subjects/{subject}":                              v.deleteSubject,
		"GET /subjects/{subject}/versions":                        v.listVersions,
		"POST /subjects/{subject}/versions":                       v.register,
		"GET /subjects/{subject}/versions/{version}":              v.version,
		"DELETE /subjects/{subject}/versions/{version}":           v.deleteVersion,
		"GET /subjects/{subject}/versions/{version}/schema":       v.versionText,
		"GET /subjects/{subject}/versions/{version}/referencedby": v.referencedBy,

		"POST /compatibility/subjects/{subject}/versions":           v.checkAll,
		"POST /compatibility/subjects/{subject}/versions/{version}": v.checkOne,

		"GET /config":              v.level,
		"GET /config/{subject}":    v.level,
		"PUT /config":              v.setLevel,
		"PUT /config/{subject}":    v.setLevel,
		"DELETE /config":           v.unsetLevel,
		"DELETE /config/{subject}": v.unsetLevel,

		"GET /mode":              v.mode,
		"GET /mode/{subject}":    v.mode,
		"PUT /mode":              v.setMode,
		"PUT /mode/{subject}":    v.setMode,
		"DELETE /mode/{subject}": v.unsetMode,
	} {
		mux.Handle(pattern, r)
	}
	mux.Handle("/", route(func(*http.Request) (any, error) { return nil, refused(http.StatusNotFound, "HTTP 404 Not Found") }))
	// Anybody on this machine may ask, but not a web page that a browser on it shows.
	return sameMachine(http.NewCrossOriginProtection().Handler(mux))
}

// sameMachine refuses requests that came here under another name than this machine's: that is how a
// web page would reach a loopback port.
func sameMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host, _, err := net.SplitHostPort(req.Host)
		if err != nil {
			host = req.Host
		}
		if !local(host) {
			answer(w, refused(http.StatusForbidden, "the embedded registry is for this machine only, not for %q", host))
			return
		}
		next.ServeHTTP(w, req)
	})
}

// ServeHTTP implements [http.Handler].
func (r route) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	req.Body = http.MaxBytesReader(w, req.Body, maxBody)
	if subject := req.PathValue("subject"); len(subject) > maxSubject || strings.ContainsFunc(subject, unicode.IsControl) {
		answer(w, refused(42208, "The specified subject is not valid: at most %d bytes, no control characters", maxSubject))
		return
	}
	result, err := r(req)
	if err != nil {
		var p *problem
		if !errors.As(err, &p) {
			p = &problem{status: http.StatusInternalServerError, Code: 50001, Message: err.Error()}
		}
		answer(w, p)
		return
	}
	answer(w, result)
}

// answer writes result as JSON; a [rawText] as it is.
func answer(w http.ResponseWriter, result any) {
	body, isText := result.(rawText)
	if !isText {
		encoded, err := json.Marshal(result)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError) // nothing here fails to encode
			return
		}
		body = rawText(encoded)
	}
	w.Header().Set("Content-Type", mediaType)
	if p, ok := result.(*problem); ok {
		w.WriteHeader(p.status)
	}
	_, _ = io.WriteString(w, string(body)) // the client may be gone
}

// rawText is an answer that is JSON already.
type rawText string

// flag reads a boolean query parameter.
func flag(req *http.Request, name string) bool {
	return strings.EqualFold(req.URL.Query().Get(name), "true")
}

// number reads a query parameter that counts; fallback where it is missing or no number.
func number(req *http.Request, name string, fallback int) int {
	n, err := strconv.Atoi(req.URL.Query().Get(name))
	if err != nil || n < 0 {
		return fallback
	}
	return n
}

// read decodes a request's body.
func read(req *http.Request, into any) error {
	err := json.NewDecoder(req.Body).Decode(into)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refused(http.StatusRequestEntityTooLarge, "the request is longer than %d bytes", tooLarge.Limit)
	case err != nil:
		return refused(http.StatusBadRequest, "reading the request: %v", err)
	}
	return nil
}

// draft reads a schema from a request. What Confluent's registry knows and this one does not is
// refused; metadata and rule sets are left out, as they change nothing about reading records.
func readDraft(req *http.Request) (*draft, error) {
	var body struct {
		Schema     string            `json:"schema"`
		Type       string            `json:"schemaType"`
		References []json.RawMessage `json:"references"`
		ID         int               `json:"id"`
		Version    int               `json:"version"`
	}
	if err := read(req, &body); err != nil {
		return nil, err
	}
	switch {
	case body.Type != "" && !strings.EqualFold(body.Type, "AVRO"):
		return nil, refused(42201, "Invalid schema type %s: the embedded registry knows only AVRO", body.Type)
	case len(body.References) > 0:
		return nil, refused(42201, "Invalid schema: the embedded registry knows no references")
	case body.ID > 0 || body.Version > 0:
		return nil, refused(42205, "Subject %s is not in import mode", req.PathValue("subject"))
	}
	d, err := parse(body.Schema)
	if err != nil {
		return nil, refused(42201, "Invalid schema: %v", err)
	}
	return d, nil
}

// versionNumber reads a version from the path.
func versionNumber(req *http.Request) (int, error) {
	text := req.PathValue("version")
	if text == "latest" || text == "-1" {
		return latest, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0, refused(42202, "The specified version '%s' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"", text)
	}
	return int(n), nil
}

// subjectVersion is a version as it is answered.
type subjectVersion struct {
	Subject string `json:"subject"`
	ID      int    `json:"id"`
	Version int    `json:"version"`
	Schema  string `json:"schema"`
}

func shown(name string, v *version) subjectVersion {
	return subjectVersion{Subject: name, ID: v.schema.id, Version: v.number, Schema: v.schema.text}
}

func (v server) listSchemas(req *http.Request) (any, error) {
	hidden, newest := flag(req, "deleted"), flag(req, "latestOnly")
	found := v.s.uses(func(u use) bool {
		return (hidden || !u.deleted) && strings.HasPrefix(u.subject, req.URL.Query().Get("subjectPrefix"))
	})
	list := []subjectVersion{}
	for i, u := range found {
		if newest && i+1 < len(found) && found[i+1].subject == u.subject {
			continue
		}
		list = append(list, shown(u.subject, u.version))
	}
	return page(req, list), nil
}

// page is the part of a list that the request asks for.
func page[T any](req *http.Request, list []T) []T {
	from := min(number(req, "offset", 0), len(list))
	return list[from:min(from+min(number(req, "limit", len(list)), len(list)), len(list))]
}

func (v server) byID(req *http.Request) (*schema, error) {
	id, err := strconv.Atoi(req.PathValue("id"))
	if err != nil {
		return nil, refused(http.StatusNotFound, "HTTP 404 Not Found")
	}
	return v.s.schema(id)
}

func (v server) schemaByID(req *http.Request) (any, error) {
	found, err := v.byID(req)
	if err != nil {
		return nil, err
	}
	body := struct {
		Schema string `json:"schema"`
		MaxID  int    `json:"maxId,omitempty"`
	}{Schema: found.text}
	if flag(req, "fetchMaxId") {
		body.MaxID = v.s.highestID()
	}
	return body, nil
}

func (v server) textByID(req *http.Request) (any, error) {
	found, err := v.byID(req)
	if err != nil {
		return nil, err
	}
	return rawText(found.text), nil
}

func (v server) usesOfID(req *http.Request) ([]use, error) {
	found, err := v.byID(req)
	if err != nil {
		return nil, err
	}
	hidden := flag(req, "deleted")
	return v.s.uses(func(u use) bool { return u.schema == found && (hidden || !u.deleted) }), nil
}

func (v server) subjectsByID(req *http.Request) (any, error) {
	found, err := v.usesOfID(req)
	if err != nil {
		return nil, err
	}
	return names(found), nil
}

func (v server) versionsByID(req *http.Request) (any, error) {
	found, err := v.usesOfID(req)
	if err != nil {
		return nil, err
	}
	type subjectAndVersion struct {
		Subject string `json:"subject"`
		Version int    `json:"version"`
	}
	list := []subjectAndVersion{}
	for _, u := range found {
		list = append(list, subjectAndVersion{u.subject, u.number})
	}
	return list, nil
}

// names are the subjects of versions that stand in their order.
func names(found []use) []string {
	list := []string{}
	for _, u := range found {
		list = append(list, u.subject)
	}
	return slices.Compact(list)
}

func (v server) listSubjects(req *http.Request) (any, error) {
	hidden, only := flag(req, "deleted"), flag(req, "deletedOnly")
	found := v.s.uses(func(u use) bool {
		return strings.HasPrefix(u.subject, req.URL.Query().Get("subjectPrefix")) && (!u.deleted && !only || u.deleted && (hidden || only))
	})
	if only {
		live := names(v.s.uses(func(u use) bool { return !u.deleted }))
		found = slices.DeleteFunc(found, func(u use) bool { return slices.Contains(live, u.subject) })
	}
	return page(req, names(found)), nil
}

func (v server) listVersions(req *http.Request) (any, error) {
	return v.s.numbers(req.PathValue("subject"), flag(req, "deleted"), flag(req, "deletedOnly"))
}

func (v server) register(req *http.Request) (any, error) {
	d, err := readDraft(req)
	if err != nil {
		return nil, err
	}
	made, err := v.s.register(req.PathValue("subject"), d)
	if err != nil {
		return nil, err
	}
	return struct {
		ID int `json:"id"`
	}{made.schema.id}, nil
}

func (v server) lookup(req *http.Request) (any, error) {
	d, err := readDraft(req)
	if err != nil {
		return nil, err
	}
	found, err := v.s.lookup(req.PathValue("subject"), d, flag(req, "deleted"))
	if err != nil {
		return nil, err
	}
	return shown(req.PathValue("subject"), found), nil
}

func (v server) find(req *http.Request) (*version, error) {
	n, err := versionNumber(req)
	if err != nil {
		return nil, err
	}
	return v.s.version(req.PathValue("subject"), n, flag(req, "deleted"))
}

func (v server) version(req *http.Request) (any, error) {
	found, err := v.find(req)
	if err != nil {
		return nil, err
	}
	return shown(req.PathValue("subject"), found), nil
}

func (v server) versionText(req *http.Request) (any, error) {
	found, err := v.find(req)
	if err != nil {
		return nil, err
	}
	return rawText(found.schema.text), nil
}

// referencedBy is empty for every version: there are no references here.
func (v server) referencedBy(req *http.Request) (any, error) {
	_, err := v.find(req)
	return []int{}, err
}

func (v server) deleteSubject(req *http.Request) (any, error) {
	return v.s.deleteSubject(req.PathValue("subject"), flag(req, "permanent"))
}

func (v server) deleteVersion(req *http.Request) (any, error) {
	n, err := versionNumber(req)
	if err != nil {
		return nil, err
	}
	return v.s.deleteVersion(req.PathValue("subject"), n, flag(req, "permanent"))
}

func (v server) checkAll(req *http.Request) (any, error) {
	return v.check(req, nil)
}

func (v server) checkOne(req *http.Request) (any, error) {
	found, err := v.find(req)
	var p *problem
	if errors.As(err, &p) && p.Code == 40401 && req.PathValue("version") == "latest" {
		return v.check(req, nil) // there is nothing yet that it could break
	}
	if err != nil {
		return nil, err
	}
	return v.check(req, found)
}

func (v server) check(req *http.Request, only *version) (any, error) {
	type result struct {
		Compatible bool     `json:"is_compatible"`
		Messages   []string `json:"messages,omitempty"`
	}
	verbose := flag(req, "verbose")
	d, err := readDraft(req)
	var p *problem
	if errors.As(err, &p) && p.Code == 42201 && verbose {
		return result{Messages: []string{p.Message}}, nil
	}
	if err != nil {
		return nil, err
	}
	reasons := v.s.check(req.PathValue("subject"), d, only)
	r := result{Compatible: len(reasons) == 0}
	if verbose {
		r.Messages = reasons
	}
	return r, nil
}

// levelAnswer is a level as GET and DELETE answer it, levelChange as PUT takes and answers it.
type (
	levelAnswer struct {
		Level string `json:"compatibilityLevel"`
	}
	levelChange struct {
		Level string `json:"compatibility"`
	}
	modeBody struct {
		Mode string `json:"mode"`
	}
)

func (v server) level(req *http.Request) (any, error) {
	level, err := v.s.get(levelSetting, req.PathValue("subject"), flag(req, "defaultToGlobal"))
	return levelAnswer{level}, err
}

func (v server) setLevel(req *http.Request) (any, error) {
	var body levelChange
	if err := read(req, &body); err != nil {
		return nil, err
	}
	level, err := registry.ParseLevel(body.Level)
	if err != nil {
		return nil, refused(42203, "Invalid compatibility level. Valid values are %q", registry.Levels())
	}
	_, err = v.s.set(levelSetting, req.PathValue("subject"), string(level))
	return levelChange{string(level)}, err
}

func (v server) unsetLevel(req *http.Request) (any, error) {
	before, err := v.s.set(levelSetting, req.PathValue("subject"), "")
	return levelAnswer{before}, err
}

func (v server) mode(req *http.Request) (any, error) {
	mode, err := v.s.get(modeSetting, req.PathValue("subject"), flag(req, "defaultToGlobal"))
	return modeBody{mode}, err
}

func (v server) setMode(req *http.Request) (any, error) {
	var body modeBody
	if err := read(req, &body); err != nil {
		return nil, err
	}
	modes := []string{readWrite, readOnly, readOnlyOverride}
	mode := strings.ToUpper(body.Mode)
	if !slices.Contains(modes, mode) {
		return nil, refused(42204, "Invalid mode. The embedded registry knows %q", modes)
	}
	_, err := v.s.set(modeSetting, req.PathValue("subject"), mode)
	return modeBody{mode}, err
}

func (v server) unsetMode(req *http.Request) (any, error) {
	before, err := v.s.set(modeSetting, req.PathValue("subject"), "")
	return modeBody{before}, err
}
