package salesforce

import (
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// Options say which org is written to, as whom, and how much of it may be used. They stand in writeback.yaml under
// the key salesforce. What is left out has no default tag but a default here: settle.go.
type Options struct {
	URL     string `yaml:"url" doc:"the org's My Domain URL, such as https://acme.my.salesforce.com; tokens are asked for here, and where they name another instance, calls go there"`
	Version string `yaml:"version" doc:"API version; v61.0 when empty, v46.0 at least"`
	Client  string `yaml:"client" doc:"our name in Sforce-Call-Options, by which change events say who made them; sluice when empty"`
	Auth    Auth   `yaml:"auth"`
	Note    Note   `yaml:"note"`
	Daily   Daily  `yaml:"daily"`
	Bulk    Bulk   `yaml:"bulk"`
	// AllowDuplicates overrides the org's duplicate rules, where these let themselves be overridden.
	AllowDuplicates bool     `yaml:"allow_duplicates" doc:"save a record although a duplicate rule warns of it"`
	NumberKeys      []string `yaml:"number_keys" doc:"external keys that are numbers in the org, such as Contact.Member_Number__c: a query must not quote them"`
}

// Auth is who we are. Either way the org's administrator makes a connected app; with client_credentials it runs as
// the user that is named there, with jwt as the user named here, who must have been authorised for it.
type Auth struct {
	Grant         string        `yaml:"grant" oneof:"client_credentials jwt" doc:"client_credentials or jwt; whichever has its values set when empty"`
	ClientID      string        `yaml:"client_id" doc:"of client_credentials"`
	ClientSecret  config.Secret `yaml:"client_secret" doc:"of client_credentials"`
	ConsumerKey   string        `yaml:"consumer_key" doc:"of jwt: the connected app's"`
	Username      string        `yaml:"username" doc:"of jwt: as whom we write"`
	PrivateKey    config.Secret `yaml:"private_key" doc:"of jwt: RSA key as PEM, whose certificate the connected app has"`
	PrivateKeyRef string        `yaml:"private_key_file" doc:"of jwt: file that has the key"`
	Audience      string        `yaml:"audience" doc:"of jwt: https://login.salesforce.com when empty, https://test.salesforce.com for a sandbox org"`
}

// Note is how an activity is kept from being written twice.
type Note struct {
	Field  string `yaml:"field" doc:"field of the activity in which the id of our write stands; the row's key field when empty"`
	Search bool   `yaml:"search" doc:"the field is no external id: look for it before writing, which takes a second call"`
}

// Daily bounds the calls in 24 hours, of which an org has so many for all its tools together.
type Daily struct {
	Budget  string        `yaml:"budget" doc:"a number of calls that this process may make in 24 hours, or a share such as 80% of the org's limit that all tools together may have used when ours stops; 100% when empty"`
	Recheck time.Duration `yaml:"recheck" min:"1s" max:"24h" doc:"when the budget is spent, after how long one call asks whether there is room again; 15m when 0"`
}

// Bulk is when and how Bulk API 2.0 takes the place of single calls.
type Bulk struct {
	Off   bool          `yaml:"off" doc:"never use it"`
	From  int           `yaml:"from" min:"0" doc:"so many rows that wait go as a job; 0: only when the daily budget is short"`
	Rows  int           `yaml:"rows" min:"0" max:"100000" doc:"most rows of a job; 10000 when 0"`
	Short string        `yaml:"short" doc:"share of the daily budget that is left when it counts as short; 10% when empty"`
	Poll  time.Duration `yaml:"poll" min:"0s" max:"1m" doc:"first wait for a job; each later one is twice as long, 30s at most; 2s when 0"`
	Wait  time.Duration `yaml:"wait" min:"0s" max:"24h" doc:"longest wait for a job, which is then aborted; 30m when 0"`
}
