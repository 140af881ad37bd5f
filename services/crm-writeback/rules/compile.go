package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/yamlfile"
)

// compiler makes a Set of what the file says, and notes what cannot be right.
type compiler struct {
	file   *yamlfile.File
	env    func(string) (string, bool)
	set    *Set
	known  map[string]bool // names of targets
	absent map[string]bool // those that are left out
}

var targetName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

func (c *compiler) targets(list []fileTarget) {
	for i, t := range list {
		path := fmt.Sprintf("targets[%s]", t.Name)
		switch {
		case !targetName.MatchString(t.Name):
			path = fmt.Sprintf("targets[%d]", i)
			c.file.Object(path+".name", t.Name, "1 to 63 small letters, digits, - and _, a letter first")
		case t.Name == crm.Braze:
			c.file.Object(path+".name", t.Name, "any name but braze, which is the way back")
		case c.known[t.Name]:
			c.file.Object(fmt.Sprintf("targets[%d].name", i), t.Name, "a name that no other target has")
		}
		c.known[t.Name] = true
		parts := map[string]yamlfile.Raw{Salesforce: t.Salesforce, HubSpot: t.HubSpot, HTTP: t.HTTP}
		for kind, part := range parts {
			if kind != t.Kind && part.Given() {
				c.file.Object(path+"."+kind, nil, "a target of kind "+t.Kind+" has no such options")
			}
		}
		if slices.Contains(t.Self, "") {
			c.file.Object(path+".self", nil, "names that are not empty")
		}
		c.objects(path, t)
		if c.missing(path, t.Needs) {
			c.absent[t.Name] = true
			continue
		}
		c.set.targets = append(c.set.targets, Target{
			Name: t.Name, Kind: t.Kind, Rate: t.Rate, Linger: t.Linger, Memory: int64(t.Memory), Concurrency: t.Concurrency,
			FailureBudget: t.FailureBudget, Self: t.Self, EchoWindow: t.EchoWindow, options: options{parts[t.Kind]},
		})
	}
}

// missing reports whether a variable is set in none of its two ways.
func (c *compiler) missing(path string, names []string) (missing bool) {
	for _, name := range names {
		if !variable.MatchString(name) {
			c.file.Object(path+".needs", name, "names of environment variables")
		}
		value, _ := c.env(name)
		file, _ := c.env(name + "_FILE")
		missing = missing || value == "" && file == ""
	}
	return missing
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (c *compiler) objects(path string, t fileTarget) {
	for i, o := range t.Objects {
		at := path + ".objects[" + o.Object + "]"
		name := objectName{t.Name, o.Object}
		if c.set.objects[name] != nil {
			c.file.Object(fmt.Sprintf("%s.objects[%d]", path, i), o.Object, "an object that stands here once")
		}
		made := &object{keyField: o.Key.Field, keyIsID: o.Key.ObjectID, key: c.program(at+".key.from", o.Key.From), identity: o.Identity, fields: map[string]*Field{}}
		if o.User != "" {
			if o.Identity != "" {
				c.file.Object(at+".user", nil, "identity or user, not both")
			}
			made.user = c.program(at+".user", o.User)
		}
		for j, f := range o.Fields {
			if made.fields[f.Field] != nil {
				c.file.Object(fmt.Sprintf("%s.fields[%d]", at, j), f.Field, "a field that stands here once")
			}
			made.fields[f.Field] = c.field(at+".fields["+f.Field+"]", f)
		}
		c.set.objects[name] = made
	}
}

// group is the form of the ids that Braze gives to subscription groups (braze-docs: subscription_groups).
var group = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

func (c *compiler) field(path string, f fileField) *Field {
	switch {
	case (f.Attribute == "") == (f.Group == ""):
		c.file.Object(path, nil, "attribute or group, one of them")
	case f.Group != "" && !group.MatchString(f.Group):
		c.file.Object(path+".group", f.Group, "the id of a subscription group")
	case len(f.Attribute) > 255:
		c.file.Object(path+".attribute", f.Attribute, "a name of at most 255 bytes")
	}
	made := &Field{Name: f.Field, Attribute: f.Attribute, Group: f.Group, Owner: Owner(f.Owner), Type: f.Type}
	if f.ToBraze != "" {
		made.toBraze = c.program(path+".to_braze", f.ToBraze)
	}
	return made
}

func (c *compiler) rules(list []fileRule) {
	seen := map[string]bool{}
	for i, r := range list {
		path := "rules[" + r.Name + "]"
		switch {
		case !targetName.MatchString(r.Name):
			path = fmt.Sprintf("rules[%d]", i)
			c.file.Object(path+".name", r.Name, "1 to 63 small letters, digits, - and _, a letter first")
		case seen[r.Name]:
			path = fmt.Sprintf("rules[%d]", i)
			c.file.Object(path+".name", r.Name, "a name that no other rule has")
		}
		seen[r.Name] = true
		made := &rule{name: r.Name, target: r.Target, object: r.Object, mode: r.Mode, set: c.program(path+".set", r.Set)}
		if r.If != "" {
			made.when = c.program(path+".if", r.If)
		}
		on := c.subject(path, r, made)
		made.of = c.set.objects[objectName{r.Target, r.Object}]
		switch {
		case !c.known[r.Target]:
			c.file.Object(path+".target", r.Target, "a target of this file")
		case made.of == nil && r.Mode != crm.Note:
			c.file.Object(path+".object", r.Object, "an object of target "+r.Target+", with its key")
		}
		if !c.absent[r.Target] {
			c.set.rules[on] = append(c.set.rules[on], made)
		}
	}
}

// subject is what the rule is about.
func (c *compiler) subject(path string, r fileRule, made *rule) int {
	if slices.Contains(r.Names, "") || slices.Contains(r.Types, "") {
		c.file.Object(path, nil, "names and types that are not empty")
	}
	if r.On == "engagements" {
		if len(r.Names) > 0 {
			c.file.Object(path+".names", nil, "engagements have types, actions names")
		}
		made.names = newPatterns(r.Types)
		return onEngagements
	}
	if len(r.Types) > 0 {
		c.file.Object(path+".types", nil, "actions have names, engagements types")
	}
	made.names = newPatterns(r.Names)
	return onActions
}

// program compiles a program; one that cannot be is noted.
func (c *compiler) program(path, text string) *program {
	if strings.TrimSpace(text) == "" {
		c.file.Object(path, nil, "a jq program; it is empty")
		return nil
	}
	p, err := compile(text)
	if err != nil {
		c.file.Object(path, text, "a jq program: "+err.Error())
	}
	return p
}
