package rules

import (
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/yamlfile"
)

// fileSet is writeback.yaml as it stands.
type fileSet struct {
	Targets  []fileTarget  `yaml:"targets" doc:"the systems"`
	Rules    []fileRule    `yaml:"rules" doc:"what is written when"`
	Loop     fileLoop      `yaml:"loop" doc:"when a value has gone round in a circle"`
	LinkWait time.Duration `yaml:"link_wait" default:"10m" min:"1s" max:"24h" doc:"how long a change of an object waits for somebody to say whose it is"`
}

type fileLoop struct {
	Turns  int           `yaml:"turns" default:"2" min:"1" max:"100" doc:"most changes of side of a field's value"`
	Within time.Duration `yaml:"within" default:"1m" min:"1s" max:"24h" doc:"in this time"`
}

type fileTarget struct {
	Name          string        `yaml:"name" required:"true" doc:"name of the target, in metrics, groups and dead letters; the system of its changes"`
	Kind          string        `yaml:"kind" required:"true" oneof:"salesforce hubspot http" doc:"what it is; the options of the kind stand under its name"`
	Needs         []string      `yaml:"needs" doc:"environment variables without which the target is left out, and its rules with it"`
	Rate          quota.Rate    `yaml:"rate" doc:"most calls in a time, such as 100/10s; no bound without one"`
	Linger        time.Duration `yaml:"linger" default:"1s" min:"0s" max:"5m" doc:"longest wait of a lone row for company"`
	Memory        yamlfile.Size `yaml:"memory" default:"32MiB" min:"1MiB" max:"64GiB" doc:"what its rows may hold while they wait"`
	Concurrency   int           `yaml:"concurrency" default:"2" min:"1" max:"64" doc:"calls under way at once, at most the kind's own"`
	FailureBudget time.Duration `yaml:"failure_budget" default:"72h" min:"1m" max:"8760h" doc:"how long it may fail without a break; notices at 50, 70, 90 and 100 %, and nothing is ever dropped"`
	Self          []string      `yaml:"self" doc:"actors that are ourselves; a change by anybody else is never an echo"`
	EchoWindow    time.Duration `yaml:"echo_window" default:"24h" min:"1m" max:"720h" doc:"how long after a write its echo may come"`
	Salesforce    yamlfile.Raw  `yaml:"salesforce" doc:"options of the kind salesforce"`
	HubSpot       yamlfile.Raw  `yaml:"hubspot" doc:"options of the kind hubspot"`
	HTTP          yamlfile.Raw  `yaml:"http" doc:"options of the kind http"`
	Objects       []fileObject  `yaml:"objects" doc:"its objects that mean something to Braze"`
}

type fileObject struct {
	Object   string      `yaml:"object" required:"true" doc:"kind of object, as the system names it"`
	Key      fileKey     `yaml:"key" doc:"how one is found"`
	Identity string      `yaml:"identity" doc:"field that names the user in a change, by external_id"`
	User     string      `yaml:"user" doc:"jq of a change instead: {external_id, braze_id, alias, email or phone}"`
	Fields   []fileField `yaml:"fields" doc:"fields that have a counterpart in Braze"`
}

type fileKey struct {
	Field string `yaml:"field" required:"true" doc:"the external key"`
	From  string `yaml:"from" default:".user.external_id" doc:"jq of the action or engagement: its value"`
	// ObjectID spares a link: a change says which object it is without any of its fields.
	ObjectID bool `yaml:"object_id" doc:"the key is the system's own id of the object as well, the object_id of its changes"`
}

type fileField struct {
	Field     string `yaml:"field" required:"true" doc:"as the system names it"`
	Attribute string `yaml:"attribute" doc:"attribute of the profile"`
	Group     string `yaml:"group" doc:"or id of a subscription group: true is subscribed"`
	Owner     string `yaml:"owner" default:"newest" oneof:"crm braze newest" doc:"whose edit counts"`
	Type      string `yaml:"type" oneof:"text number boolean date time list" doc:"what the system's values are"`
	ToBraze   string `yaml:"to_braze" doc:"jq of the value: the attribute's"`
}

type fileRule struct {
	Name   string   `yaml:"name" required:"true" doc:"name of the rule, in deliveries and dead letters"`
	On     string   `yaml:"on" required:"true" oneof:"actions engagements" doc:"what it is about"`
	Names  []string `yaml:"names" doc:"names of actions; * stands for anything; all without"`
	Types  []string `yaml:"types" doc:"types of engagements; * stands for anything; all without"`
	If     string   `yaml:"if" doc:"jq of the action or engagement: whether it is wanted"`
	Target string   `yaml:"target" required:"true" doc:"where to write"`
	Object string   `yaml:"object" required:"true" doc:"which kind of object"`
	Mode   string   `yaml:"mode" default:"upsert" oneof:"upsert update note" doc:"make it where it is missing; only change it; or a new activity each time"`
	Set    string   `yaml:"set" required:"true" doc:"jq of the action or engagement: an object of fields and values"`
}
