package yamlfile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/yamlfile"
)

// vehicle has its options behind the word of its kind.
type vehicle struct {
	Name   string `yaml:"name" required:"true"`
	Kind   string `yaml:"kind"`
	Wheels int    `yaml:"wheels" default:"4" min:"1"`
}

type bike struct {
	Lock string `yaml:"lock" required:"true"`
	Bell bool   `yaml:"bell" default:"true"`
}

func (b *bike) Validate() error {
	if b.Bell {
		return nil
	}
	return config.Problem{Field: "bell", Value: "no, says " + b.Lock, Allowed: "a bell"}
}

type fleet struct {
	Vehicles yamlfile.Raw `yaml:"vehicles"`
}

// readFleet reads vehicles; a bike has two wheels where nothing else is said.
func readFleet(text string) (vehicles []vehicle, bikes []bike, problems string) {
	f := yamlfile.New("f.yaml", func(name string) (string, bool) { return "geheim", name == "L" })
	var root fleet
	f.Decode([]byte(text), &root)
	list, ok := root.Vehicles.Elements()
	if !ok {
		f.Objections(root.Vehicles, config.Problem{Allowed: "expected a list"})
	}
	for _, part := range list {
		var v vehicle
		yamlfile.Default(&v)
		if part.Behind("kind").Text() == "bike" {
			v.Wheels = 2
			b := bike{}
			yamlfile.Default(&b)
			if options := part.Behind("bike"); f.Read(options, &b) {
				f.Objections(options, b.Validate())
			}
			bikes = append(bikes, b)
		}
		f.Read(part.Without("bike"), &v)
		vehicles = append(vehicles, v)
	}
	if err := f.Err(); err != nil {
		problems = err.Error()
	}
	return vehicles, bikes, problems
}

func TestOneKeySaysWhatAnotherMayHold(t *testing.T) {
	t.Parallel()
	vehicles, bikes, problems := readFleet("vehicles:\n  - {name: a}\n  - name: b\n    kind: bike\n    bike: {lock: \"${L}\"}\n  - {name: c, kind: bike, wheels: 3, bike: {lock: x}}\n")
	if problems != "" {
		t.Fatal(problems)
	}
	if diff := cmp.Diff([]vehicle{{"a", "", 4}, {"b", "bike", 2}, {"c", "bike", 3}}, vehicles); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bike{{"geheim", true}, {"x", true}}, bikes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsWrongWithAPartIsToldWithItsPlaceInTheFile(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                      "",
		"- a":                                   "f.yaml:1: expected a mapping with the key vehicles",
		"vehicles:\n  a: b":                     "vehicles [f.yaml:1]: expected a list",
		"vehicles: a":                           "vehicles [f.yaml:1]: expected a list",
		"vehicles: &v []":                       "vehicles [f.yaml:1]: anchors, aliases and tags are not read here; write it out",
		"vehicles:\n  -":                        "vehicles[0].name [f.yaml:2]: it is needed",
		"vehicles: [a]":                         "vehicles[0] [f.yaml:1]: expected a mapping with the keys name, kind, wheels",
		"vehicles:\n  - name: 7\n    wheels: 0": `vehicles[0].wheels [f.yaml:3]: "0"; allowed: at least 1`,
		"vehicles:\n  - name: 7-a\n    wheels: 0":     `vehicles[7-a].wheels [f.yaml:3]: "0"; allowed: at least 1`,
		"vehicles:\n  - name: 2nd\n    bell: on":      "vehicles[2nd].bell [f.yaml:3]: unknown key; known here: name, kind, wheels",
		"vehicles:\n  - name: a\n    kind: bike":      "vehicles[a].bike.lock [f.yaml:2]: it is needed",
		"vehicles: [{<<: {name: a}, name: a}]":        "vehicles[a] [f.yaml:1]: merging with << is not read here; write it out",
		"vehicles: [{name: a, kind: bike, bike: []}]": "vehicles[a].bike [f.yaml:1]: expected a mapping with the keys lock, bell",
		// What is wrong stands in the order of the file, whichever part was read first.
		"vehicles:\n- name: a\n  kind: bike\n  wheels: many\n  bike:\n    lock: \"${L}\"\n    bell: false\n  doors: 2": `vehicles[a].wheels [f.yaml:4]: "many"; allowed: a whole number
vehicles[a].bike.bell [f.yaml:7]: "no, says [from the environment]"; allowed: a bell
vehicles[a].doors [f.yaml:8]: unknown key; known here: name, kind, wheels`,
	} {
		if _, _, problems := readFleet(text); problems != want {
			t.Errorf("%s (-want +got):\n%s", text, cmp.Diff(want, problems))
		}
	}
}

func TestAPartIsReadByWhoeverKnowsItsType(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"vehicles: {lock: x}":              "",
		"vehicles:\n  lock: x\n  bell: no": `vehicles.bell [f.yaml:3]: "no"; allowed: true or false`,
		"vehicles:\n  bell: false":         "vehicles.lock [f.yaml:1]: it is needed",
		"vehicles: {lock: x, bell: false}": `vehicles.bell [f.yaml:1]: "no, says x"; allowed: a bell`,
	} {
		f := yamlfile.New("f.yaml", nil)
		var root fleet
		f.Decode([]byte(text), &root)
		for range 2 {
			var got string
			if err := root.Vehicles.Decode(new(bike)); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", text, diff)
			}
		}
	}
}

// FuzzDecode: whatever a text holds is read, or something is said of it.
func FuzzDecode(f *testing.F) {
	f.Add("vehicles: [{name: a, kind: bike, bike: {lock: \"${L}\"}}]")
	f.Add("vehicles:\n- *a\n- &a b\n- !!x c\n- {<<: *a}\n")
	f.Add("vehicles: {a: [b]}\n---\nvehicles: []")
	f.Fuzz(func(t *testing.T, text string) {
		vehicles, _, problems := readFleet(text)
		for _, v := range vehicles {
			if problems == "" && (v.Name == "" || v.Wheels < 1) {
				t.Errorf("%q has passed as %+v", text, v)
			}
		}
	})
}
