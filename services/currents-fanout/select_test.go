package currentsfanout

import (
	"path"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestAnEventIsForASinkWhereEveryListFits(t *testing.T) {
	click := event.Engagement{Type: "users.messages.email.Click", CampaignID: "c1", AppID: "a1", Workspace: "eu", Channel: "email"}
	canvas := click
	canvas.CampaignID, canvas.CanvasID = "", "v1"
	bare := event.Engagement{Type: "users.behaviors.app.SessionStart"}
	form := event.Action{Name: "form", Workspace: "eu"}
	for name, c := range map[string]struct {
		filter                     Filter
		click, canvas, bare, aform string
	}{
		"no filter":                {Filter{}, "", "", "", ""},
		"a type":                   {Filter{Types: []string{"users.messages.email.Click"}}, "", "", "type", "type"},
		"types with a star behind": {Filter{Types: []string{"users.messages.*"}}, "", "", "type", "type"},
		"with one in the middle":   {Filter{Types: []string{"users.*.Click"}}, "", "", "type", "type"},
		"with one before":          {Filter{Types: []string{"*Start", "action.*"}}, "type", "type", "", ""},
		"types it does not get":    {Filter{Types: []string{"users.*"}, NotTypes: []string{"*.Click"}}, "type", "type", "", "type"},
		"campaigns":                {Filter{Campaigns: []string{"c1", "c2"}}, "", "campaign", "campaign", "campaign"},
		"campaigns or Canvases":    {Filter{Campaigns: []string{"c1"}, Canvases: []string{"v1"}}, "", "", "campaign", "campaign"},
		"apps":                     {Filter{Apps: []string{"a1"}}, "", "", "app", "app"},
		"workspaces":               {Filter{Workspaces: []string{"eu"}}, "", "", "workspace", ""},
		"channels":                 {Filter{Channels: []string{"push"}}, "channel", "channel", "channel", "channel"},
		"two lists":                {Filter{Types: []string{"users.messages.*"}, Campaigns: []string{"c2"}}, "campaign", "campaign", "type", "type"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSelector(c.filter)
			for what, want := range map[*event.Engagement]string{&click: c.click, &canvas: c.canvas, &bare: c.bare} {
				if got := s.skips(ofEngagements, draft{engagement: what}); got != want {
					t.Errorf("%s is skipped for %q, want %q", what.Type, got, want)
				}
			}
			if got := s.skips(ofActions, draft{action: &form}); got != c.aform {
				t.Errorf("the webhook is skipped for %q, want %q", got, c.aform)
			}
		})
	}
}

// FuzzPattern holds the stars to path.Match, which knows them too.
func FuzzPattern(f *testing.F) {
	f.Add("users.*.Click", "users.messages.email.Click")
	f.Add("*a*a*", "aa")
	f.Add("a*a", "a")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.ContainsAny(pattern+name, `/[]?\`) || name == "" || !strings.Contains(pattern, "*") {
			return
		}
		want, err := path.Match(pattern, name)
		if err != nil {
			return
		}
		if got := newPatterns([]string{pattern}).fit(name); got != want {
			t.Errorf("%q fits %q: %v, want %v", pattern, name, got, want)
		}
	})
}
