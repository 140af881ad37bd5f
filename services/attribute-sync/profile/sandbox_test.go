package profile

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// TestTheSandboxEndsWhereTheModelDoes sends what stories come to to the sandbox, which knows more of
// Braze than the model of these tests: of what it takes it must take all, and end the same.
func TestTheSandboxEndsWhereTheModelDoes(t *testing.T) {
	t.Parallel()
	box := brazefake.New(brazefake.Options{})
	for seed := range uint64(100) {
		s := &story{rand.New(rand.NewPCG(seed, 3))}
		u, models, who := newUser(t, nil), map[string]*model{}, fmt.Sprint("user-", seed)
		for id := range 40 {
			w := s.write(id)
			w.source, w.time = s.pick([]string{"crm", "shop"}), int64(s.rand.IntN(12))
			if models[w.field] == nil {
				models[w.field] = &model{}
			}
			models[w.field].tell(w)
			if refusal := u.apply(w.record()); refusal != nil {
				t.Fatal(refusal)
			}
			if s.rand.IntN(3) > 0 && id < 39 {
				continue
			}
			for _, o := range u.end().Objects {
				track(t, box, who, o.Attributes)
			}
		}
		has := sandbox{}
		if p, found := box.Profile(who); found {
			for name, value := range p.Custom {
				has[name] = sorted(string(value))
			}
			for group, state := range p.Subscriptions {
				has[groupPrefix+group] = state
			}
		}
		should := want(models)
		for _, p := range []sandbox{should, has} {
			maps.DeleteFunc(p, func(_, value string) bool { return value == "[]" }) // as good as none
		}
		if diff := cmp.Diff(should, has); diff != "" {
			t.Fatalf("seed %d: (-want +got)\n%s", seed, diff)
		}
	}
	if stats := box.Stats(); stats.ValuesIgnored > 0 {
		t.Errorf("the sandbox left %d values out", stats.ValuesIgnored)
	}
}

// track sends one attributes object.
func track(t *testing.T, box http.Handler, who string, attributes []byte) {
	t.Helper()
	body := fmt.Appendf(nil, `{"attributes":[{"external_id":%q,%s]}`, who, attributes[1:])
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/users/track", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+brazefake.DefaultKey)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	box.ServeHTTP(w, r)
	if w.Code != http.StatusCreated || bytes.Contains(w.Body.Bytes(), []byte("errors")) {
		t.Fatalf("%s\nis answered %d %s", body, w.Code, w.Body)
	}
}
