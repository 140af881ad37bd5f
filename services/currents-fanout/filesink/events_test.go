package filesink

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

const (
	click    = "users.messages.email.Click"
	purchase = "users.behaviors.Purchase"
)

// day is when the events of the tests happened and came.
var day = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// sampled is the nth event of a type, with a value in nine of ten fields.
func sampled(t testing.TB, typeName string, n int) *sink.Event {
	t.Helper()
	typ, ok := currents.Lookup(typeName)
	if !ok {
		t.Fatalf("the catalogue has no %s", typeName)
	}
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	objects := map[string][]byte{}
	for _, f := range typ.Fields {
		if !f.Required && rng.IntN(10) == 0 {
			continue
		}
		var v string
		switch f.Kind {
		case currents.Int:
			v = fmt.Sprint(rng.Int32())
		case currents.Long:
			v = fmt.Sprint(1<<53 + rng.Int64N(1<<40))
		case currents.Float, currents.Double:
			v = fmt.Sprintf("%d.%02d", rng.IntN(1000), rng.IntN(100))
		case currents.Boolean:
			v = fmt.Sprint(rng.IntN(2) == 0)
		case currents.Strings:
			v = []string{`[]`, `["one","two"]`, `["one",null]`}[rng.IntN(3)]
		case currents.JSON:
			v = fmt.Sprintf(`{"store":"vie-%02d","slots":[9,10],"vip":true}`, rng.IntN(100))
		default:
			switch {
			case distinctive[f.Name] || f.Name == "user_id" || f.Name == "external_user_id" || f.Name == "device_id":
				v = fmt.Sprintf(`"%s-%016x"`, f.Name[:3], rng.Uint64())
			default:
				v = fmt.Sprintf(`"%s-%08x-1111-4222-8333-444455556666"`, f.Name[:3], rng.IntN(20))
			}
		}
		objects[f.In] = fmt.Appendf(append(objects[f.In], ','), "%q:%s", f.Name, v)
	}
	for in, members := range objects {
		objects[in] = members[1:]
	}
	return engagement(t, fmt.Sprintf(`{"event_type":%q,"id":"%08x-0000-4000-8000-%012x","time":%d,"user":{%s},"properties":{%s}}`,
		typeName, n, n, day.Unix()+int64(n), objects["user"], objects["properties"]), n)
}

// engagement is what the fan-out makes of an engagement that came as these bytes.
func engagement(t testing.TB, js string, n int) *sink.Event {
	t.Helper()
	e, err := currents.Read([]byte(js), "eu", day)
	if err != nil {
		t.Fatal(err)
	}
	return &sink.Event{
		ID: e.ID, Type: e.Type, Key: e.Key(), OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt,
		Engagement: &e, JSON: e.JSON, Topic: "braze.engagements", Offset: int64(n),
	}
}
