package currentsfanout

import (
	"strings"

	"github.com/sluicehq/sluice/pkg/event"
)

// selector is a filter made ready. It is pure.
type selector struct {
	types, notTypes     patterns
	campaigns, canvases set
	apps, workspaces    set
	channels            set
	all                 bool // of it being empty
}

func newSelector(f Filter) *selector {
	s := &selector{
		types: newPatterns(f.Types), notTypes: newPatterns(f.NotTypes),
		campaigns: newSet(f.Campaigns), canvases: newSet(f.Canvases), apps: newSet(f.Apps),
		workspaces: newSet(f.Workspaces), channels: newSet(f.Channels),
	}
	s.all = s.types.none() && s.notTypes.none() && s.campaigns == nil && s.canvases == nil && s.apps == nil && s.workspaces == nil && s.channels == nil
	return s
}

// skips says why an event is not for the sink; "" when it is. The words stand in metrics as reasons.
func (s *selector) skips(of feed, d draft) string {
	if s.all {
		return ""
	}
	if of == ofActions {
		return s.skipsAction(d.action)
	}
	e := d.engagement
	switch {
	case !s.types.none() && !s.types.fit(e.Type), s.notTypes.fit(e.Type):
		return "type"
	// An event belongs to a campaign or to a Canvas: both lists together name what may be behind it.
	case (s.campaigns != nil || s.canvases != nil) && !s.campaigns.has(e.CampaignID) && !s.canvases.has(e.CanvasID):
		return "campaign"
	case s.apps != nil && !s.apps.has(e.AppID):
		return "app"
	case s.workspaces != nil && !s.workspaces.has(e.Workspace):
		return "workspace"
	case s.channels != nil && !s.channels.has(e.Channel):
		return "channel"
	}
	return ""
}

// skipsAction is skips of a webhook, which has neither campaign nor app nor channel.
func (s *selector) skipsAction(a *event.Action) string {
	name := actionType(a)
	switch {
	case !s.types.none() && !s.types.fit(name), s.notTypes.fit(name):
		return "type"
	case s.campaigns != nil || s.canvases != nil:
		return "campaign"
	case s.apps != nil:
		return "app"
	case s.workspaces != nil && !s.workspaces.has(a.Workspace):
		return "workspace"
	case s.channels != nil:
		return "channel"
	}
	return ""
}

// actionType is the type of a webhook, beside Braze's own names of events.
func actionType(a *event.Action) string { return "action." + a.Name }

// actionID names an action among all: its own id does so within its name only.
func actionID(a *event.Action) string { return a.Name + "/" + a.ID }

// set is a list of ids; nil is no list.
type set map[string]bool

func newSet(ids []string) set {
	if len(ids) == 0 {
		return nil
	}
	s := set{}
	for _, id := range ids {
		s[id] = true
	}
	return s
}

// has reports whether an id is in the list. The empty one, of an event that has none, never is.
func (s set) has(id string) bool { return id != "" && s[id] }

// patterns are names in which a * stands for anything.
type patterns struct {
	exact set
	globs [][]string // what stands between the stars
}

func newPatterns(list []string) patterns {
	var p patterns
	var exact []string
	for _, text := range list {
		if strings.Contains(text, "*") {
			p.globs = append(p.globs, strings.Split(text, "*"))
		} else {
			exact = append(exact, text)
		}
	}
	p.exact = newSet(exact)
	return p
}

func (p patterns) none() bool { return p.exact == nil && p.globs == nil }

func (p patterns) fit(name string) bool {
	if p.exact.has(name) {
		return true
	}
	for _, g := range p.globs {
		if fitsGlob(g, name) {
			return true
		}
	}
	return false
}

// fitsGlob finds the parts in the name one behind the other: taking each as early as it comes is always right.
func fitsGlob(parts []string, name string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}
