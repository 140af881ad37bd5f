package currents

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Groups of fields that many types share, in the notation that [fields] reads.
const (
	base = "user_id* external_user_id app_group_id"

	campaign  = "campaign_id campaign_name message_variation_id message_variation_name"
	canvas    = "canvas_id canvas_name canvas_variation_id canvas_variation_name canvas_step_id canvas_step_name"
	sending   = "send_id dispatch_id"
	device    = "platform os_version device_model device_id"
	ads       = "ad_id ad_id_type ad_tracking_enabled:boolean"
	zone      = "timezone"
	variation = "canvas_step_message_variation_id@avro"

	person      = "gender@avro country@avro language@avro"
	phone       = "carrier@avro resolution@avro browser sdk_version@avro"
	wholePerson = "gender country language"
	wholePhone  = "carrier resolution browser sdk_version"

	// What HTTP has in addition, of some types.
	httpDevice   = "device_id@http"
	httpDispatch = "dispatch_id@http"
	// What banners and surveys call the variation over HTTP.
	apiVariation = "canvas_step_message_variation_api_id=canvas_step_message_variation_id"
)

// fields reads the notation of the catalogue: names with spaces between them, each followed by what
// is not usual about it:
//
//	name             text, may be null, called so in both forms
//	name*            required
//	name:int         of that kind
//	name=other       called other in Avro files
//	name@http        in HTTP only; likewise @avro
//
// in this order, such as price*:float. Which of the four members of user a name is, or that it is
// none, follows from the name.
func fields(groups ...string) []Field {
	var all []Field
	for _, group := range groups {
		for word := range strings.FieldsSeq(group) {
			all = append(all, field(word))
		}
	}
	return all
}

func field(word string) Field {
	f := Field{Kind: String, In: InProperties}
	word, f.Only, _ = strings.Cut(word, "@")
	word, f.Avro, _ = strings.Cut(word, "=")
	if before, kind, ok := strings.Cut(word, ":"); ok {
		word, f.Kind = before, Kind(kind)
	}
	f.Name, f.Required = strings.CutSuffix(word, "*")
	if inUser(f.Name) {
		f.In = InUser
	}
	return f
}

// inUser reports whether a field stands in the event's user rather than in its properties.
func inUser(name string) bool {
	switch name {
	case "user_id", "external_user_id", "device_id", "timezone":
		return true
	}
	return false
}

// when is a type as the lists of the catalogue write it: its name, what has happened, its fields.
func when(name, happened string, groups ...string) Type {
	return Type{Name: name, When: happened, Since: 2, Time: Int, Fields: fields(groups...)}
}

// The rest of what can be said about a type, after [when].

func (t Type) since(version int) Type { t.Since = version; return t }
func (t Type) but(s Status) Type      { t.Status = s; return t }
func (t Type) longTime() Type         { t.Time = Long; return t }

// known is a type with an index of its fields.
type known struct {
	*Type
	user, properties map[string]*Field
}

// catalogue is everything that is known, built once and never changed.
var catalogue = func() (c struct {
	types  []Type
	byName map[string]known
},
) {
	for _, section := range []struct {
		name  string
		types []Type
	}{
		{"Customer behaviour", behaviours},
		{"Users and profiles", profiles},
		{"Subscriptions, campaigns and Canvases", campaigns},
		{"Email", emails},
		{"Push and Live Activities", pushes},
		{"In-app messages, Content Cards, banners and feature flags", screens},
		{"SMS and RCS", texts},
		{"WhatsApp and LINE", chats},
		{"Webhooks", webhooks},
		{"Landing pages and surveys", pages},
		{"Agents and content optimizer", agents},
	} {
		for _, t := range section.types {
			t.Section, t.Channel = section.name, channelOf(t.Name)
			c.types = append(c.types, t)
		}
	}
	slices.SortFunc(c.types, func(a, b Type) int { return cmp.Compare(a.Name, b.Name) })
	c.byName = make(map[string]known, len(c.types))
	for i := range c.types {
		t := &c.types[i]
		if _, twice := c.byName[t.Name]; twice {
			panic(fmt.Sprintf("currents: %s is in the catalogue twice", t.Name)) // a slip of ours, found by any test
		}
		k := known{t, map[string]*Field{}, map[string]*Field{}}
		for j := range t.Fields {
			if f := &t.Fields[j]; f.In == InUser {
				k.user[f.Name] = f
			} else {
				k.properties[f.Name] = f
			}
		}
		c.byName[t.Name] = k
	}
	return c
}()
