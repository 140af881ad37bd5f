//go:build !race

package filesink

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// store is an S3 of our own, with a bucket "lake", that can be told to answer something else.
type store struct {
	backend *s3mem.Backend
	url     string
	status  atomic.Int64 // 0: as an S3 would
	calls   atomic.Int64

	careless atomic.Bool // knows no conditions
}

func newStore(t *testing.T) *store {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	s := &store{backend: s3mem.New()}
	if err := s.backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(s.backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		if status := s.status.Load(); status != 0 {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(int(status))
			return
		}
		if s.careless.Load() {
			r.Header.Del("If-None-Match")
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = "s3://lake?region=eu-central-1&use_path_style=true&endpoint=" + server.URL
	return s
}

// objects is all that is in the bucket.
func (s *store) objects(t *testing.T) map[string]string {
	t.Helper()
	list, err := s.backend.ListBucket("lake", &gofakes3.Prefix{}, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, o := range list.Contents {
		got, err := s.backend.GetObject("lake", o.Key, nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(got.Contents)
		if err != nil {
			t.Fatal(err)
		}
		all[o.Key] = string(data)
	}
	return all
}

func TestAnS3HasWhatADiskHas(t *testing.T) {
	s3, dir := newStore(t), t.TempDir()
	inCloud := openFiles(t, Options{URL: s3.url, Prefix: "a/b"})
	onDisk := openFiles(t, Options{URL: "file://" + dir, Prefix: "a/b"})
	for _, s := range []*Sink{inCloud, onDisk} {
		mustWrite(t, s, stretch(100, 120), mixed(t, 100, 20))
		mustWrite(t, s, stretch(120, 125), nil)
		mustWrite(t, s, stretch(125, 130), mixed(t, 125, 5))
		mustWrite(t, s, stretch(125, 130), mixed(t, 125, 2))
	}
	if diff := cmp.Diff(tree(t, dir), s3.objects(t)); diff != "" {
		t.Error(diff[:min(len(diff), 2000)])
	}
}

func TestOnS3TooOffsetsThatAreSetBackMakeNoDoubles(t *testing.T) {
	s3 := newStore(t)
	o := Options{URL: s3.url, Prefix: "braze"}
	replay(t, openFiles(t, o), 20, 60, 15)
	replay(t, openFiles(t, o), 0, 60, 13)
	replay(t, openFiles(t, o), 42, 60, 7)
	var want []string
	for _, e := range mixed(t, 0, 60) {
		want = append(want, e.ID)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, idsOf(t, s3.objects(t))); diff != "" {
		t.Error(diff)
	}
}

func TestOnS3OfTwoOwnersOneIsTold(t *testing.T) {
	o := Options{URL: newStore(t).url}
	one, other := openFiles(t, o), openFiles(t, o)
	for _, s := range []*Sink{one, other} {
		if got := begun(t, s, 0); got != -1 {
			t.Fatalf("begun to %d", got)
		}
	}
	mustWrite(t, one, stretch(0, 10), mixed(t, 0, 10))
	if a := other.WriteStretch(t.Context(), stretch(0, 15), mixed(t, 0, 15)); a.All.Reason != sink.Overtaken {
		t.Fatalf("%+v", a)
	}
	if got := begun(t, other, 0); got != 10 {
		t.Errorf("begun to %d", got)
	}
}

// TestAStretchThatFollowsCostsFewCalls holds the calls of a stretch without an error: a look for its
// intent, the intent, its files, the manifest.
func TestAStretchThatFollowsCostsFewCalls(t *testing.T) {
	s3 := newStore(t)
	s := openFiles(t, Options{URL: s3.url})
	events := func(first int) []*sink.Event { return []*sink.Event{sampled(t, click, first)} }
	mustWrite(t, s, stretch(0, 1), events(0))
	for _, first := range []int{1, 2, 7, 20} { // what lies between had no events
		before := s3.calls.Load()
		begun(t, s, first)
		mustWrite(t, s, stretch(first, first+1), events(first))
		if got := s3.calls.Load() - before; got != 4 {
			t.Errorf("%d calls", got)
		}
	}
}

func TestWhatAStoreAnswersIsDeferredOrWaitsForAPerson(t *testing.T) {
	s3 := newStore(t)
	for _, c := range []struct {
		status int
		reason string
		halt   bool
	}{
		{http.StatusForbidden, "forbidden", true},
		{http.StatusMovedPermanently, "rejected", true},
		{http.StatusServiceUnavailable, "server_error", false},
	} {
		s3.status.Store(int64(c.status))
		a := openFiles(t, Options{URL: s3.url}).WriteStretch(t.Context(), stretch(0, 5), mixed(t, 0, 5))
		if a.All.Kind != outcome.Deferred || a.All.Reason != c.reason || a.Halt != c.halt {
			t.Errorf("%d: %+v", c.status, a)
		}
	}
	s3.status.Store(0)
	a := openFiles(t, Options{URL: strings.Replace(s3.url, "lake", "swamp", 1)}).WriteStretch(t.Context(), stretch(0, 5), mixed(t, 0, 5))
	if !a.Halt || a.All.Reason != "no_bucket" {
		t.Errorf("no such bucket: %+v", a)
	}
	a = openFiles(t, Options{URL: "s3://lake?region=eu-central-1&no_such_parameter=1"}).WriteStretch(t.Context(), stretch(0, 5), nil)
	if !a.Halt || a.All.Reason != "open" {
		t.Errorf("a parameter that does not exist: %+v", a)
	}
	a = openFiles(t, Options{URL: "s3://lake?region=eu-central-1&use_path_style=true&endpoint=http://127.0.0.1:1", UploadTimeout: 20 * time.Second}).
		WriteStretch(t.Context(), stretch(0, 5), nil)
	if a.Halt || a.All.Reason != "unreachable" {
		t.Errorf("nobody there: %+v", a)
	}
	if len(s3.objects(t)) != 0 {
		t.Error("something was written")
	}
}

// TestAStoreThatKnowsNoConditionsIsFoundOut has one that ignores If-None-Match.
func TestAStoreThatKnowsNoConditionsIsFoundOut(t *testing.T) {
	s3 := newStore(t)
	s3.careless.Store(true)
	var log bytes.Buffer
	s := openFiles(t, Options{URL: s3.url})
	s.log = zerolog.New(&log)
	mustWrite(t, s, stretch(0, 5), mixed(t, 0, 5))
	mustWrite(t, s, stretch(5, 10), mixed(t, 5, 5))
	if got := strings.Count(log.String(), "only if absent"); got != 1 {
		t.Errorf("warned %d times: %s", got, log.String())
	}
}

func TestALargeFileComesInParts(t *testing.T) {
	s3 := newStore(t)
	s := openFiles(t, Options{URL: s3.url, Compression: compressNone})
	e := sampled(t, click, 0)
	noise := bytes.Repeat([]byte("abcdefghij"), 1_300_000)
	e.JSON = append(append([]byte(`{"id":"e","note":"`), noise...), `"}`...)
	mustWrite(t, s, stretch(0, 1), []*sink.Event{e})
	for name, data := range s3.objects(t) {
		if strings.HasSuffix(name, ".parquet") {
			if rows := parquetRows(t, []byte(data)); len(rows) != 1 || rows[0][eventJSON] != string(e.JSON) {
				t.Error("it is not the same")
			}
		}
	}
}
