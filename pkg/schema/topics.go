// Package schema knows the topics there are and the record type each of them carries.
package schema

import (
	"slices"
	"time"

	"github.com/sluicehq/sluice/schemas"
)

// Topic is one topic as it ought to be. Topics keyed by user share one partition count, so that
// partition n of each of them concerns the same people.
type Topic struct {
	Name       string        // without the configured prefix
	RecordType string        // folder in package schemas; empty where the values are the service's own affair
	Retention  time.Duration // how long records stay; of a compacted topic, how long tombstones do
	Compacted  bool          // the newest record of each key stays for ever
	Public     bool          // others may write to it directly
	WrittenBy  string
	ReadBy     string
	Doc        string
}

const day = 24 * time.Hour

// The names of the topics.
const (
	CustomerEvents   = "customer.events"
	CustomerProfiles = "customer.profiles"
	CommerceEvents   = "commerce.events"
	SupportCases     = "support.cases"
	ContentItems     = "content.items"
	BrazeAttributes  = "braze.attributes"
	BrazeDeliveries  = "braze.deliveries"
	BrazeEngagements = "braze.engagements"
	BrazeActions     = "braze.actions"
	CRMChanges       = "crm.changes"
	CRMDeliveries    = "crm.deliveries"
)

// Record types that are not named like their topic.
const deadLetterType = "deadletters"

// DeadLetters is the topic of a service's records that cannot go on.
func DeadLetters(service string) string { return service + ".deadletters" }

// State is the topic of a service's keyed state.
func State(service string) string { return service + ".state" }

// Retries is the topic of records that a service is to try once more, for one of its destinations.
func Retries(service string) string { return service + ".retries" }

// Writes is the topic of what is to be written to a service's destinations.
func Writes(service string) string { return service + ".writes" }

// PollState is the topic of the checkpoints of those who poll.
const PollState = "ingest.state.polls"

var topics = []Topic{
	{
		Name: CustomerEvents, RecordType: CustomerEvents, Retention: 7 * day, Public: true,
		WrittenBy: "ingest, upstream producers", ReadBy: "braze-sender",
		Doc: "Key actions of customers: name, time, user, properties, attributes set with them.",
	},
	{
		Name: CustomerProfiles, RecordType: CustomerProfiles, Retention: 7 * day, Public: true,
		WrittenBy: "ingest, crm-writeback, upstream producers", ReadBy: "attribute-sync",
		Doc: "Changes to customers' profiles: attributes to set, unset, add, remove, increment.",
	},
	{
		Name: CommerceEvents, RecordType: CommerceEvents, Retention: 7 * day, Public: true,
		WrittenBy: "ingest, upstream producers", ReadBy: "braze-sender, attribute-sync",
		Doc: "What happened to carts, orders, shipments and subscriptions, with exact money.",
	},
	{
		Name: SupportCases, RecordType: SupportCases, Retention: 7 * day, Public: true,
		WrittenBy: "ingest, upstream producers", ReadBy: "attribute-sync, braze-sender",
		Doc: "What happened to customers' support cases: opened, escalated, resolved, rated.",
	},
	{
		Name: ContentItems, RecordType: ContentItems, Compacted: true, Retention: TombstoneRetention, Public: true,
		WrittenBy: "ingest, content-cacher, upstream producers", ReadBy: "content-cacher, braze-sender",
		Doc: "Approved content: images, banners, rows of feeds, blocks of pages. The newest record of a key stands; a tombstone withdraws it.",
	},
	{
		Name: BrazeAttributes, RecordType: BrazeAttributes, Retention: 3 * day,
		WrittenBy: "attribute-sync", ReadBy: "braze-sender",
		Doc: "Of customers' profiles only what differs from what Braze has, and triggers that follow from them.",
	},
	{
		Name: BrazeDeliveries, RecordType: BrazeDeliveries, Retention: 7 * day,
		WrittenBy: "braze-sender", ReadBy: "analysts, attribute-sync, braze-sender after a restart",
		Doc: "What became of each record on its way to Braze.",
	},
	{
		Name: BrazeEngagements, RecordType: BrazeEngagements, Retention: 14 * day,
		WrittenBy: "ingest", ReadBy: "analysts, currents-fanout, crm-writeback",
		Doc: "What customers did with messages, as Braze reports it through Currents. An event may stand here twice: count distinct ids.",
	},
	{
		Name: BrazeActions, RecordType: BrazeActions, Retention: 7 * day,
		WrittenBy: "ingest", ReadBy: "crm-writeback, currents-fanout",
		Doc: "Webhooks of campaigns and Canvases: submitted forms, changed preferences, anything a marketer set up.",
	},
	{
		Name: CRMChanges, RecordType: CRMChanges, Retention: 7 * day,
		WrittenBy: "ingest, crm-writeback", ReadBy: "crm-writeback",
		Doc: "What CRMs, billing and loyalty systems say has changed, before anybody knows whether it is an echo. Written in transactions, too: read it committed.",
	},
	{
		Name: CRMDeliveries, RecordType: CRMDeliveries, Retention: 7 * day,
		WrittenBy: "crm-writeback", ReadBy: "analysts, crm-writeback",
		Doc: "What became of each write to a CRM, and of each change on its way back: delivered, skipped, refused; conflicts with both values.",
	},
	{
		Name: DeadLetters("ingest"), RecordType: deadLetterType, Retention: 30 * day,
		WrittenBy: "ingest", ReadBy: "operators",
		Doc: "Items that a tracking client sent and that cannot become a record.",
	},
	{
		Name: DeadLetters("braze-sender"), RecordType: deadLetterType, Retention: 30 * day,
		WrittenBy: "braze-sender", ReadBy: "operators",
		Doc: "Records that Braze will never take, or that could not be read.",
	},
	{
		Name: DeadLetters("attribute-sync"), RecordType: deadLetterType, Retention: 30 * day,
		WrittenBy: "attribute-sync", ReadBy: "operators",
		Doc: "Changes of profiles and cases that Braze would never take, or that could not be read.",
	},
	{
		Name: DeadLetters("currents-fanout"), RecordType: deadLetterType, Retention: 30 * day,
		WrittenBy: "currents-fanout", ReadBy: "operators",
		Doc: "Engagement events that a sink will never take, or that could not be read.",
	},
	{
		Name: DeadLetters("content-cacher"), RecordType: deadLetterType, Retention: 30 * day,
		WrittenBy: "content-cacher", ReadBy: "operators",
		Doc: "Records of content that cannot be served. Each replica that reads one keeps one.",
	},
	{
		Name: DeadLetters("crm-writeback"), RecordType: deadLetterType, Retention: 30 * day,
		WrittenBy: "crm-writeback", ReadBy: "operators",
		Doc: "Rows that a CRM will never take, loops, and records that could not be read.",
	},
	{
		Name: Writes("crm-writeback"), Retention: 7 * day,
		WrittenBy: "crm-writeback", ReadBy: "crm-writeback",
		Doc: "Rows on their way to a CRM, or back to Braze. Written in transactions.",
	},
	{
		Name: Retries("currents-fanout"), Retention: 7 * day,
		WrittenBy: "sluice deadletters replay", ReadBy: "currents-fanout",
		Doc: "Dead letters to be tried once more, each for the sink that its header names; as they stood on their own topic.",
	},
	{
		Name: State("currents-fanout"), Compacted: true, Retention: TombstoneRetention,
		WrittenBy: "sluice sinks", ReadBy: "currents-fanout",
		Doc: "Which sinks are paused, by whom and since when.",
	},
	{
		Name: State("attribute-sync"), Compacted: true, Retention: TombstoneRetention,
		WrittenBy: "attribute-sync", ReadBy: "attribute-sync after a restart",
		Doc: "What is known of each user's profile in Braze. Written in transactions.",
	},
	{
		Name: State("crm-writeback"), Compacted: true, Retention: TombstoneRetention,
		WrittenBy: "crm-writeback", ReadBy: "crm-writeback after a restart",
		Doc: "What is known of each user's fields in each CRM, which echoes are expected, and which object is whose. Written in transactions.",
	},
	{
		Name: State("braze-sender"), Compacted: true, Retention: TombstoneRetention,
		WrittenBy: "braze-sender", ReadBy: "braze-sender after a restart",
		Doc: "What Braze has of the catalogs that are kept in step with collections of content.",
	},
	{
		Name: PollState, Compacted: true, Retention: TombstoneRetention,
		WrittenBy: "ingest", ReadBy: "ingest after a restart",
		Doc: "How far each source that is polled has been read.",
	},
}

// Topics returns every topic, in the order of the flows.
func Topics() []Topic { return slices.Clone(topics) }

// Tables returns the topics whose records have a schema: all but a service's own state.
func Tables() []Topic {
	return slices.DeleteFunc(Topics(), func(t Topic) bool { return t.RecordType == "" })
}

// Find returns the topic of that name, without prefix.
func Find(name string) (Topic, bool) {
	i := slices.IndexFunc(topics, func(t Topic) bool { return t.Name == name })
	if i < 0 {
		return Topic{}, false
	}
	return topics[i], true
}

// Subject is the registry's name for the schema of a topic's values; topic includes the prefix.
func Subject(topic string) string { return topic + "-value" }

// Text is the newest Avro schema of the topic's records. There is none of a topic that is no table.
func (t Topic) Text() string { return schemas.Latest(t.RecordType) }
