package sample

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/pkg/currents"
)

// wants reports whether the event is to have a field at all.
func (m *maker) wants(f *currents.Field) bool {
	switch {
	case f.Required:
		return true
	case f.Name == "external_user_id":
		return m.person%10 != 0
	case strings.HasPrefix(f.Name, "canvas_"):
		return m.canvas
	case strings.HasPrefix(f.Name, "campaign_"), strings.HasPrefix(f.Name, "message_variation_"):
		return !m.canvas
	case f.Name == "dispatch_id", f.Name == "channel", f.Name == "app_group_id":
		return true
	}
	return m.rng.IntN(4) > 0
}

func (m *maker) value(f *currents.Field) {
	switch f.Kind {
	case currents.Boolean:
		m.dst = strconv.AppendBool(m.dst, m.rng.IntN(3) == 0)
	case currents.Int:
		m.whole(f.Name)
	case currents.Long: // milliseconds of its time
		m.dst = strconv.AppendInt(m.dst, m.at*1000+int64(m.rng.IntN(1000)), 10)
	case currents.Float:
		m.float(f.Name)
	case currents.Double:
		m.dst = strconv.AppendFloat(m.dst, float64(m.rng.IntN(10_000))/8, 'f', -1, 64)
	case currents.Strings:
		m.list(f.Name)
	case currents.JSON:
		m.custom()
	case currents.String:
		m.dst = append(m.dst, '"')
		m.word(f.Name)
		m.dst = append(m.dst, '"')
	}
}

func (m *maker) whole(name string) {
	n := int64(m.rng.IntN(2000))
	switch {
	case name == "http_status_code":
		n = int64(pick(m.rng, []int{400, 404, 410, 429, 500, 502, 503}))
	case name == "conversion_behavior_index", strings.HasSuffix(name, "_count"):
		n %= 4
	case name == "ios_push_token_apns_gateway":
		n = 1 + n%2
	case strings.HasSuffix(name, "_at"):
		n = m.at - n*60
	case strings.Contains(name, "bucket"):
		n = int64(m.rng.IntN(10_000))
	}
	m.dst = strconv.AppendInt(m.dst, n, 10)
}

func (m *maker) float(name string) {
	var f float64
	switch name {
	case "latitude":
		f = 46 + float64(m.rng.IntN(30_000))/10_000
	case "longitude":
		f = 9.5 + float64(m.rng.IntN(70_000))/10_000
	case "price":
		f = float64(99+100*m.rng.IntN(250)) / 100
	default:
		f = float64(m.rng.IntN(40_000)) / 10
	}
	m.dst = strconv.AppendFloat(m.dst, float64(float32(f)), 'f', -1, 32)
}

func (m *maker) list(name string) {
	m.raw("[")
	for i := range m.rng.IntN(3) {
		if i > 0 {
			m.raw(",")
		}
		if name == "media_urls" {
			m.text("https://media.shop.example/" + strconv.Itoa(m.rng.IntN(1000)) + ".jpg")
		} else {
			m.text(pick(m.rng, []string{"user agent", "ip address", "click speed"}))
		}
	}
	m.raw("]")
}

// custom appends what a shop adds to an event itself, with what is easily broken on the way: a quote,
// an umlaut, a number no float64 has, a list, a null.
func (m *maker) custom() {
	m.raw(`{"store":"vie-`)
	m.dst = strconv.AppendInt(m.dst, int64(m.rng.IntN(40)), 10)
	m.raw(`","note":"Größe \"M\"","loyalty_number":9007199254740`)
	m.dst = strconv.AppendInt(m.dst, int64(993+2*m.rng.IntN(3)), 10)
	m.raw(`,"slots":[9,10.5],"vip":`)
	m.dst = strconv.AppendBool(m.dst, m.rng.IntN(2) == 0)
	m.raw(`,"gift":null}`)
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }
