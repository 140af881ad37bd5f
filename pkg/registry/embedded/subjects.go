package embedded

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"

	"github.com/sluicehq/sluice/pkg/registry"
)

const (
	// defaultLevel is the registry's level until it is told another.
	defaultLevel = registry.BackwardTransitive
	defaultMode  = readWrite
)

// The modes that mean something here.
const (
	readWrite        = "READWRITE"
	readOnly         = "READONLY"
	readOnlyOverride = "READONLY_OVERRIDE"
)

// problem is an answer that says no, in Confluent's form and with its codes.
type problem struct {
	status  int
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

// Error implements error.
func (p *problem) Error() string { return p.Message }

func refused(code int, format string, args ...any) *problem {
	status := code
	if code >= 10_000 {
		status = code / 100
	}
	return &problem{status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func noSubject(subject string) *problem { return refused(40401, "Subject '%s' not found.", subject) }
func noVersion(v int) *problem          { return refused(40402, "Version %d not found.", v) }

// schema is a text that has an id. Every way to write it has the same.
type schema struct {
	id     int
	text   string
	parsed *avro.Schema
	uses   int // versions that are not removed for good
}

type version struct {
	number  int
	schema  *schema
	deleted bool // hidden, but what was written with it can be read
}

// subject is a name and its versions, oldest first. It is there as long as one is, hidden or not.
type subject struct {
	versions []*version
	newest   int // the highest number ever given
	level    string
	mode     string
}

// subjects is all the registry knows. Changes are in the journal before they are here.
type subjects struct {
	mu      sync.RWMutex
	journal *journal
	byID    map[int]*schema
	byForm  map[string]*schema // by canonical text
	named   map[string]*subject
	maxID   int
	level   string
	mode    string
}

// openSubjects reads the journal in dir; without a dir nothing is kept.
func openSubjects(dir string) (*subjects, error) {
	s := &subjects{
		byID:   make(map[int]*schema),
		byForm: make(map[string]*schema),
		named:  make(map[string]*subject),
	}
	var err error
	if s.journal, err = openJournal(dir, s.replay); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *subjects) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.close()
}

// replay applies an entry read from the journal.
func (s *subjects) replay(e entry) error {
	if e.Schema == "" {
		return s.apply(e, nil)
	}
	d, err := parse(e.Schema)
	if err != nil {
		return err
	}
	return s.apply(e, d)
}

// draft is a schema on its way to an id.
type draft struct {
	text, form string
	parsed     *avro.Schema
}

// parse takes what both parsers take: one checks compatibility, the other reads the records.
func parse(text string) (d *draft, err error) {
	defer func() {
		if p := recover(); p != nil {
			d, err = nil, fmt.Errorf("parsing schema: %v", p)
		}
	}()
	parsed, err := registry.ParseSchema(text)
	if err != nil {
		return nil, err
	}
	if _, err := goavro.NewCodec(text); err != nil {
		return nil, fmt.Errorf("parsing schema: %w", err)
	}
	form, err := registry.Canonical(text)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text)); err != nil {
		return nil, fmt.Errorf("parsing schema: %w", err)
	}
	return &draft{text: compact.String(), form: form, parsed: parsed}, nil
}

// apply makes a change that is in the journal; d is the parsed schema of a version.
func (s *subjects) apply(e entry, d *draft) error {
	of := s.named[e.Subject]
	if of == nil && e.Subject != "" {
		of = &subject{}
		s.named[e.Subject] = of
	}
	switch {
	case d != nil:
		known := s.byForm[d.form]
		if known == nil {
			known = &schema{id: e.ID, text: d.text, parsed: d.parsed}
			s.byForm[d.form] = known
		}
		if known.id != e.ID || of == nil {
			return fmt.Errorf("version %d of %q has id %d, but the schema has id %d", e.Version, e.Subject, e.ID, known.id)
		}
		s.byID[e.ID] = known
		known.uses++
		of.versions = append(of.versions, &version{number: e.Version, schema: known})
		of.newest = max(of.newest, e.Version)
		s.maxID = max(s.maxID, e.ID)
	case e.Deleted > 0 && of != nil:
		v := of.find(e.Deleted, true)
		if v == nil {
			return fmt.Errorf("deletion of version %d of %q, which is not there", e.Deleted, e.Subject)
		}
		v.deleted = true
		if e.Permanent {
			of.versions = slices.DeleteFunc(of.versions, func(each *version) bool { return each == v })
			if v.schema.uses--; v.schema.uses == 0 {
				delete(s.byID, v.schema.id) // its form stays, so that its id is never another's
			}
		}
	case e.Level != nil && of != nil:
		of.level = *e.Level
	case e.Level != nil:
		s.level = *e.Level
	case e.Mode != nil && of != nil:
		of.mode = *e.Mode
	case e.Mode != nil:
		s.mode = *e.Mode
	default:
		return fmt.Errorf("an entry that changes nothing")
	}
	return nil
}

// commit writes changes down and makes them.
func (s *subjects) commit(d *draft, entries ...entry) error {
	if err := s.journal.write(entries...); err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.apply(e, d); err != nil {
			return err
		}
	}
	return nil
}

// live are the versions that are not hidden.
func (of *subject) live() []*version {
	if of == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(of.versions), func(v *version) bool { return v.deleted })
}

// find is the version with this number, or nil.
func (of *subject) find(number int, hidden bool) *version {
	if of == nil {
		return nil
	}
	for _, v := range of.versions {
		if v.number == number && (hidden || !v.deleted) {
			return v
		}
	}
	return nil
}

// register gives d an id and makes it the subject's next version, unless it is one already.
func (s *subjects) register(name string, d *draft) (*version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.named[name]
	known := s.byForm[d.form]
	for _, v := range of.live() {
		if v.schema == known {
			return v, nil
		}
	}
	if err := s.writable(name); err != nil {
		return nil, err
	}
	if reasons := s.incompatibilities(name, d.parsed, of.live()); len(reasons) > 0 {
		return nil, refused(http.StatusConflict, "Schema being registered is incompatible with an earlier schema for subject %q, details: [%s]",
			name, strings.Join(append(reasons, "compatibility: "+s.levelOf(name)), ", "))
	}
	e := entry{Subject: name, Version: 1, ID: s.maxID + 1, Schema: d.text}
	if of != nil {
		e.Version = of.newest + 1
	}
	if known != nil {
		e.ID = known.id
	}
	if err := s.commit(d, e); err != nil {
		return nil, err
	}
	return s.named[name].find(e.Version, false), nil
}

// check says what register would have against d; of all versions, or of one.
func (s *subjects) check(name string, d *draft, only *version) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	against := s.named[name].live()
	if only != nil {
		against = []*version{only}
	}
	return s.incompatibilities(name, d.parsed, against)
}

func (s *subjects) incompatibilities(name string, next *avro.Schema, earlier []*version) []string {
	previous := make([]registry.Earlier, len(earlier))
	for i, v := range earlier {
		previous[i] = registry.Earlier{Version: v.number, Schema: v.schema.parsed}
	}
	return registry.Incompatibilities(registry.Level(s.levelOf(name)), next, previous...)
}

// lookup finds the version that is d.
func (s *subjects) lookup(name string, d *draft, hidden bool) (*version, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	versions := s.named[name].live()
	if of := s.named[name]; hidden && of != nil {
		versions = of.versions
	}
	if len(versions) == 0 {
		return nil, noSubject(name)
	}
	known := s.byForm[d.form]
	for _, v := range versions {
		if v.schema == known {
			return v, nil
		}
	}
	return nil, refused(40403, "Schema not found")
}

// latest stands for the newest version in a request.
const latest = -1

// version finds a version by number.
func (s *subjects) version(name string, number int, hidden bool) (*version, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.versionLocked(name, number, hidden)
}

func (s *subjects) versionLocked(name string, number int, hidden bool) (*version, error) {
	of := s.named[name]
	versions := of.live()
	if hidden && of != nil {
		versions = of.versions
	}
	switch {
	case len(versions) == 0:
		return nil, noSubject(name)
	case number == latest:
		return versions[len(versions)-1], nil
	}
	v := of.find(number, hidden)
	if v == nil {
		return nil, noVersion(number)
	}
	return v, nil
}

// numbers are the subject's version numbers: the live ones, with the hidden, or the hidden alone.
func (s *subjects) numbers(name string, hidden, onlyHidden bool) ([]int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	numbers := []int{}
	if of := s.named[name]; of != nil {
		for _, v := range of.versions {
			if !v.deleted && !onlyHidden || v.deleted && (hidden || onlyHidden) {
				numbers = append(numbers, v.number)
			}
		}
	}
	if len(numbers) == 0 {
		return nil, noSubject(name)
	}
	return numbers, nil
}

// use is a version with its subject.
type use struct {
	subject string
	*version
}

// uses are all versions, by subject and number; keep chooses among them.
func (s *subjects) uses(keep func(use) bool) []use {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := []use{}
	for _, name := range slices.Sorted(maps.Keys(s.named)) {
		for _, v := range s.named[name].versions {
			if u := (use{name, v}); keep(u) {
				found = append(found, u)
			}
		}
	}
	return found
}

// schema is the schema with this id, also of versions that are hidden.
func (s *subjects) schema(id int) (*schema, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if found := s.byID[id]; found != nil {
		return found, nil
	}
	return nil, refused(40403, "Schema %d not found", id)
}

func (s *subjects) highestID() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.maxID
}

// deleteSubject hides every version, or removes the hidden ones for good.
func (s *subjects) deleteSubject(name string, permanent bool) ([]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.named[name]
	if of == nil || len(of.versions) == 0 {
		return nil, noSubject(name)
	}
	live := of.live()
	switch {
	case permanent && len(live) > 0:
		return nil, refused(40405, "Subject '%s' was not deleted first before being permanently deleted", name)
	case !permanent && len(live) == 0:
		return nil, refused(40404, "Subject '%s' was soft deleted.Set permanent=true to delete permanently", name)
	}
	if err := s.writable(name); err != nil {
		return nil, err
	}
	gone := live
	if permanent {
		gone = of.versions
	}
	numbers := make([]int, len(gone))
	entries := make([]entry, len(gone))
	for i, v := range gone {
		numbers[i] = v.number
		entries[i] = entry{Subject: name, Deleted: v.number, Permanent: permanent}
	}
	return numbers, s.commit(nil, entries...)
}

// deleteVersion hides a version, or removes a hidden one for good.
func (s *subjects) deleteVersion(name string, number int, permanent bool) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.versionLocked(name, number, true)
	switch {
	case err != nil:
		return 0, err
	case permanent && !v.deleted:
		return 0, refused(40407, "Subject '%s' Version %d was not deleted first before being permanently deleted", name, v.number)
	case !permanent && v.deleted:
		return 0, refused(40406, "Subject '%s' Version %d was soft deleted.Set permanent=true to delete permanently", name, v.number)
	}
	if err := s.writable(name); err != nil {
		return 0, err
	}
	return v.number, s.commit(nil, entry{Subject: name, Deleted: v.number, Permanent: permanent})
}

// levelOf is the level that counts for a subject; the caller holds the lock.
func (s *subjects) levelOf(name string) string {
	var own string
	if of := s.named[name]; of != nil {
		own = of.level
	}
	return cmp.Or(own, s.level, string(defaultLevel))
}

// modeOf is the mode that counts for a subject; the caller holds the lock.
func (s *subjects) modeOf(name string) string {
	global := cmp.Or(s.mode, defaultMode)
	if of := s.named[name]; of != nil && global != readOnlyOverride {
		return cmp.Or(of.mode, global)
	}
	return global
}

func (s *subjects) writable(name string) error {
	if mode := s.modeOf(name); mode != readWrite {
		return refused(42205, "Subject %s is in read-only mode", name)
	}
	return nil
}

// setting is a level or a mode: where it is kept, and what it is called.
type setting struct {
	of      func(*subject) *string
	global  func(*subjects) *string
	initial string
	entry   func(name, value string) entry
	unset   func(name string) *problem
}

var levelSetting = setting{
	of:      func(of *subject) *string { return &of.level },
	global:  func(s *subjects) *string { return &s.level },
	initial: string(defaultLevel),
	entry:   func(name, value string) entry { return entry{Subject: name, Level: &value} },
	unset: func(name string) *problem {
		return refused(40408, "Subject '%s' does not have subject-level compatibility configured", name)
	},
}

var modeSetting = setting{
	of:      func(of *subject) *string { return &of.mode },
	global:  func(s *subjects) *string { return &s.mode },
	initial: defaultMode,
	entry:   func(name, value string) entry { return entry{Subject: name, Mode: &value} },
	unset: func(name string) *problem {
		return refused(40409, "Subject '%s' does not have subject-level mode configured", name)
	},
}

// get reads a setting of a subject, or the registry's when name is empty or orGlobal is set.
func (s *subjects) get(what setting, name string, orGlobal bool) (string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.getLocked(what, name, orGlobal)
}

func (s *subjects) getLocked(what setting, name string, orGlobal bool) (string, error) {
	if of := s.named[name]; name != "" && of != nil && *what.of(of) != "" {
		return *what.of(of), nil
	}
	if name != "" && !orGlobal {
		return "", what.unset(name)
	}
	return cmp.Or(*what.global(s), what.initial), nil
}

// set gives a setting a value; an empty one takes it back. It answers with the value before.
func (s *subjects) set(what setting, name, value string) (before string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, err = s.getLocked(what, name, value != "")
	if err != nil {
		return "", err
	}
	return before, s.commit(nil, what.entry(name, value))
}
