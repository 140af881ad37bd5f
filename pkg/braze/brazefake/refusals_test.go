package brazefake_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

func user(id string) braze.Target { return braze.Target{User: braze.User{ExternalID: id}} }

func byEmail(email string, rules ...braze.Prioritization) braze.Target {
	return braze.Target{User: braze.User{Email: email}, Prioritization: rules}
}

func alias(label, name string) braze.Alias { return braze.Alias{Label: label, Name: name} }

// to is a recipient for each external id.
func to(ids ...string) (recipients []braze.Recipient) {
	for _, id := range ids {
		recipients = append(recipients, braze.Recipient{Target: user(id)})
	}
	return recipients
}

// many are n different names.
func many(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("crm-", i))
	}
	return ids
}

func each[T any](ids []string, make func(string) T) (out []T) {
	for _, id := range ids {
		out = append(out, make(id))
	}
	return out
}

func properties(bytes int) []byte {
	return []byte(`{"a":"` + strings.Repeat("x", bytes-len(`{"a":""}`)) + `"}`)
}

func nested(depth int) []byte {
	return []byte(`{"o":` + strings.Repeat(`{"a":`, depth) + `1` + strings.Repeat(`}`, depth) + `}`)
}

func change(kind braze.CatalogChange, catalog string, items ...braze.CatalogItem) *braze.CatalogItems {
	return &braze.CatalogItems{Catalog: catalog, Change: kind, List: items}
}

func item(id, fields string) braze.CatalogItem {
	return braze.CatalogItem{ID: id, Fields: []byte(fields)}
}

func group(g braze.GroupStatus) braze.Body {
	if g.GroupID == "" {
		g.GroupID = "sg"
	}
	if g.State == "" {
		g.State = braze.Subscribed
	}
	return &braze.SubscriptionStatus{GroupStatus: g}
}

func catalog(fields ...braze.CatalogField) *braze.NewCatalog {
	return &braze.NewCatalog{Name: "new", Fields: append([]braze.CatalogField{{Name: "id", Type: "string"}}, fields...)}
}

// both are requests that break a documented rule. The client's Check must say so, and the sandbox refuse
// the request if it is sent all the same; words are what stands in its answer.
func both() []struct {
	name  string
	body  braze.Body
	check string // beginning of the violation
	words string
} {
	long250 := strings.Repeat("x", 251)
	fifty := each(many(51), func(id string) braze.Recipient { return braze.Recipient{Target: user(id)} })
	create := func(r braze.Recipient) braze.Body {
		r.Existing = braze.CreateAlways
		return &braze.CampaignTrigger{CampaignID: "c", Recipients: []braze.Recipient{r}}
	}
	one := func(t braze.Target) braze.Body {
		return &braze.CampaignTrigger{CampaignID: "c", Recipients: []braze.Recipient{{Target: t}}}
	}
	txn := func(m braze.TransactionalMessage) braze.Body {
		if m.CampaignID = "c"; m.User == (braze.User{}) {
			m.User = braze.User{ExternalID: "a"}
		}
		return &m
	}
	return []struct {
		name  string
		body  braze.Body
		check string
		words string
	}{
		{"a campaign has an id", &braze.CampaignTrigger{Recipients: to("a")}, "campaign_id must not be empty", "Invalid Campaign ID"},
		{"so has a Canvas", &braze.CanvasTrigger{Recipients: to("a")}, "canvas_id must not be empty", "Invalid Canvas ID"},
		{"somebody must be sent to", &braze.CampaignTrigger{CampaignID: "c"}, "recipients must not be empty", "No Recipients"},
		{"by a Canvas too", &braze.CanvasTrigger{CanvasID: "c"}, "recipients must not be empty", "No Recipients"},
		{"51 recipients are too many", &braze.CampaignTrigger{CampaignID: "c", Recipients: fifty}, "recipients has more entries than Braze takes: 50", "max number of recipients"},
		{"for a Canvas too", &braze.CanvasTrigger{CanvasID: "c", Recipients: fifty}, "recipients has more entries", "max number of recipients"},
		{"a broadcast names no recipients", &braze.CampaignTrigger{CampaignID: "c", Broadcast: braze.Broadcast{All: true}, Recipients: to("a")}, "recipients must not stand here", "broadcast excludes recipients"},
		{"a broadcast carries no attachments", &braze.CampaignTrigger{CampaignID: "c", Broadcast: braze.Broadcast{All: true}, Attachments: []braze.Attachment{{FileName: "a", URL: "u"}}}, "attachments must not stand here", "attachments cannot"},
		{"an attachment has a name", &braze.CampaignTrigger{CampaignID: "c", Recipients: to("a"), Attachments: []braze.Attachment{{URL: "u"}}}, "attachments[0].file_name", "attachments[0].file_name"},
		{"an attachment has an address", &braze.CampaignTrigger{CampaignID: "c", Recipients: to("a"), Attachments: []braze.Attachment{{FileName: "u"}}}, "attachments[0].url", "attachments[0].url"},
		{"trigger_properties have 51,200 bytes", &braze.CampaignTrigger{CampaignID: "c", Recipients: to("a"), Properties: properties(51_201)}, "trigger_properties is larger", "'trigger_properties' is larger than 51200"},
		{"so has a context", &braze.CanvasTrigger{CanvasID: "c", Recipients: to("a"), Context: properties(51_201)}, "context is larger", "'context' is larger than 51200"},
		{"so have a recipient's own", &braze.CanvasTrigger{CanvasID: "c", Recipients: []braze.Recipient{{Target: user("a"), Properties: properties(51_201)}}}, "recipients[0].context is larger", "'recipients[0].context' is larger"},
		{"they are an object", &braze.CampaignTrigger{CampaignID: "c", Recipients: to("a"), Properties: []byte(`[]`)}, "trigger_properties must be a JSON object", "'trigger_properties' must be an object"},
		{"a recipient is named", one(braze.Target{}), "recipients[0] names no user", "must have one of"},
		{"in one way", one(braze.Target{User: braze.User{ExternalID: "a", BrazeID: "b"}}), "recipients[0] names the user in more than one way", "must have only one of"},
		{"not by phone", one(braze.Target{User: braze.User{Phone: "+431234567"}, Prioritization: []braze.Prioritization{braze.Identified}}), "recipients[0].phone must not stand here", "must have one of"},
		{"an alias has two parts", one(braze.Target{User: braze.User{Alias: alias("lead", "")}}), "recipients[0].user_alias must not be empty", "must have the strings alias_name and alias_label"},
		{"an email needs a prioritization", one(byEmail("ada@example.org")), "recipients[0].prioritization must not be empty", "'prioritization' is required"},
		{"whose rules do not exclude each other", one(byEmail("ada@example.org", braze.Identified, braze.Unidentified)), "recipients[0].prioritization must not stand here", "mutually exclusive"},
		{"and are known", one(byEmail("ada@example.org", "newest")), "recipients[0].prioritization is none of the words", "no prioritization"},
		{"an email is one", one(byEmail("ada", braze.Identified)), "recipients[0].email is not an email address", "EMAIL_BAD_FORMAT"},
		{"an external id has 987 bytes", one(user(strings.Repeat("x", 988))), "recipients[0].external_id is larger", "EXTERNAL_USER_ID_TOO_LARGE"},
		{"creating a user needs attributes", create(braze.Recipient{Target: user("a")}), "recipients[0].send_to_existing_only must not stand here", "'attributes' are required"},
		{"and no alias", create(braze.Recipient{Target: braze.Target{User: braze.User{Alias: alias("l", "n")}}, Attributes: []byte(`{"a":1}`)}), "recipients[0].send_to_existing_only must not stand here", "cannot be used with user_alias"},

		{"a message has content", &braze.MessageSend{ExternalUserIDs: []string{"a"}}, "messages must not be empty", "No message to send"},
		{"and goes to somebody", &braze.MessageSend{Messages: []byte(`{"sms":{}}`)}, "external_user_ids must not be empty", "No Recipients"},
		{"50 at most", &braze.MessageSend{Messages: []byte(`{"sms":{}}`), ExternalUserIDs: many(51)}, "external_user_ids has more entries", "max number of external_ids per request was exceeded"},
		{"or to everybody", &braze.MessageSend{Messages: []byte(`{"sms":{}}`), ExternalUserIDs: []string{"a"}, Broadcast: braze.Broadcast{All: true}}, "external_user_ids must not stand here", "broadcast excludes"},
		{"and then says so", &braze.MessageSend{Messages: []byte(`{"sms":{}}`), SegmentID: "s"}, "broadcast must not be empty", "broadcast must be true"},
		{"states are known", &braze.MessageSend{Messages: []byte(`{"sms":{}}`), ExternalUserIDs: []string{"a"}, RecipientState: "any"}, "recipient_subscription_state is none of the words", "must be one of"},

		{"an external_send_id has its pattern", txn(braze.TransactionalMessage{ExternalSendID: "SO 9"}), "external_send_id has characters that may not stand here", "'external_send_id' must match"},
		{"not letters of other alphabets", txn(braze.TransactionalMessage{ExternalSendID: "Größe"}), "external_send_id has characters", "'external_send_id' must match"},
		{"a transactional recipient has an id or an alias", txn(braze.TransactionalMessage{User: braze.User{BrazeID: "b"}}), "recipient.braze_id must not stand here", "must have one of"},
		{"and properties of a size", txn(braze.TransactionalMessage{Properties: properties(51_201)}), "trigger_properties is larger", "'trigger_properties' is larger"},
		{"a send id is of a campaign", &braze.SendID{SendID: "s"}, "campaign_id must not be empty", "Invalid Campaign ID"},

		{"a group has users", group(braze.GroupStatus{}), "external_id must not be empty", "must have one of"},
		{"50 at most", group(braze.GroupStatus{ExternalIDs: many(51)}), "external_id has more entries", "max number of external_id"},
		{"50 emails", group(braze.GroupStatus{Emails: each(many(51), func(id string) string { return id + "@example.org" })}), "email has more entries", "max number of email"},
		{"50 phones", group(braze.GroupStatus{Phones: each(many(51), func(id string) string { return "+4312345" + id[4:] + "00" })}), "phone has more entries", "max number of phone"},
		{"named in one way", group(braze.GroupStatus{Emails: []string{"a@example.org"}, Phones: []string{"+431234567"}}), "phone names the user in more than one way", "only one of email and phone"},
		{"or by id", group(braze.GroupStatus{ExternalIDs: []string{"a"}, Phones: []string{"+431234567"}}), "phone names the user in more than one way", "only one of external_id"},
		{"a phone is in E.164", group(braze.GroupStatus{Phones: []string{"01234567"}}), "phone[0] is not a phone number", "E.164"},
		{"an email is an address", group(braze.GroupStatus{Emails: []string{"nobody"}}), "email[0] is not an email", "no email address"},
		{"double opt-in is for SMS", group(braze.GroupStatus{Emails: []string{"a@example.org"}, DoubleOptIn: true}), "use_double_opt_in_logic must not stand here", "use_double_opt_in_logic is for SMS"},
		{"a group has two states", group(braze.GroupStatus{State: "opted_in", ExternalIDs: []string{"a"}}), "subscription_state is none of the words", "'subscription_state' must be one of"},
		{"v2 has groups", &braze.SubscriptionStatusV2{}, "subscription_groups must not be empty", "'subscription_groups' is required"},
		{"v2 takes 50 users a group", &braze.SubscriptionStatusV2{Groups: []braze.GroupStatus{{GroupID: "g", State: braze.Subscribed, ExternalIDs: many(51)}}}, "subscription_groups[0].external_ids has more entries", "external_ids per request was exceeded"},
		{"v2 takes emails and phones apart", &braze.SubscriptionStatusV2{Groups: []braze.GroupStatus{
			{GroupID: "g", State: braze.Subscribed, Emails: []string{"a@example.org"}}, {GroupID: "h", State: braze.Subscribed, Phones: []string{"+431234567"}},
		}}, "subscription_groups[1] must not stand here", "only by external_ids"},
		{"v2 wants E.164", &braze.SubscriptionStatusV2{Groups: []braze.GroupStatus{{GroupID: "h", State: braze.Subscribed, Phones: []string{"+0123"}}}}, "subscription_groups[0].phones[0] is not a phone number", "E.164"},
		{"an email state has addresses", &braze.EmailSubscription{State: braze.OptedIn}, "email must not be empty", "'email' is required"},
		{"50 at most", &braze.EmailSubscription{State: braze.OptedIn, Emails: each(many(51), func(id string) string { return id + "@example.org" })}, "email has more entries", "max number of emails"},
		{"in a state that is one", &braze.EmailSubscription{State: "maybe", Emails: []string{"a@example.org"}}, "subscription_state is none of the words", "must be one of"},

		{"identifying has users", &braze.Identify{}, "aliases_to_identify must not be empty", "one of aliases_to_identify"},
		{"50 at most", &braze.Identify{Users: each(many(51), func(id string) braze.Identification {
			return braze.Identification{ExternalID: id, Known: braze.Target{User: braze.User{Alias: alias("l", id)}}}
		})}, "aliases_to_identify has more entries", "max number of aliases_to_identify"},
		{"with an external id", &braze.Identify{Users: []braze.Identification{{Known: braze.Target{User: braze.User{Alias: alias("l", "n")}}}}}, "aliases_to_identify[0].external_id must not be empty", "'aliases_to_identify[0].external_id' is required"},
		{"and a prioritization of emails", &braze.Identify{Users: []braze.Identification{{ExternalID: "a", Known: byEmail("a@example.org")}}}, "emails_to_identify[0].prioritization must not be empty", "'prioritization' is required"},
		{"new aliases are some", &braze.NewAliases{}, "user_aliases must not be empty", "'user_aliases' is required"},
		{"50 at most", &braze.NewAliases{Aliases: each(many(51), func(id string) braze.NewAlias { return braze.NewAlias{Alias: alias("l", id)} })}, "user_aliases has more entries", "max number of user_aliases"},
		{"with a name", &braze.NewAliases{Aliases: []braze.NewAlias{{Alias: alias("l", "")}}}, "user_aliases[0].alias_name must not be empty", "'user_aliases[0].alias_name' is required"},
		{"and a label", &braze.NewAliases{Aliases: []braze.NewAlias{{Alias: alias("", "n")}}}, "user_aliases[0].alias_label must not be empty", "'user_aliases[0].alias_label' is required"},
		{"merging has updates", &braze.Merge{}, "merge_updates must not be empty", "'merge_updates' must be an array of objects"},
		{"50 at most", &braze.Merge{Updates: each(many(51), func(id string) braze.MergeUpdate {
			return braze.MergeUpdate{From: user("from-" + id), Into: user("into-" + id)}
		})}, "merge_updates has more entries", "may not contain more than 50"},
		{"by good identifiers", &braze.Merge{Updates: []braze.MergeUpdate{{From: braze.Target{User: braze.User{BrazeID: "b"}}, Into: user("a")}}}, "merge_updates[0].identifier_to_merge.braze_id must not stand here", `unexpected key "braze_id"`},
		{"with a prioritization of emails", &braze.Merge{Updates: []braze.MergeUpdate{{From: byEmail("a@example.org"), Into: user("a")}}}, "merge_updates[0].identifier_to_merge.prioritization must not be empty", "'prioritization' is required"},
		{"renaming is of somebody", &braze.Renames{}, "external_id_renames must not be empty", "'external_id_renames' is required"},
		{"50 at most", &braze.Renames{Renames: each(many(51), func(id string) braze.Rename { return braze.Rename{Current: id, New: "new-" + id} })}, "external_id_renames has more entries", "max number of external_id_renames"},
		{"to something", &braze.Renames{Renames: []braze.Rename{{Current: "a"}}}, "external_id_renames[0].new_external_id must not be empty", "'external_id_renames[0].new_external_id' is required"},
		{"of a length", &braze.Renames{Renames: []braze.Rename{{Current: "a", New: strings.Repeat("x", 988)}}}, "external_id_renames[0].new_external_id is larger", "EXTERNAL_USER_ID_TOO_LARGE"},
		{"deleting is of somebody", &braze.Delete{}, "external_ids must not be empty", "one of external_ids"},
		{"50 at most", &braze.Delete{Users: each(many(51), user)}, "external_ids has more entries", "max number of external_ids"},
		{"with a prioritization of emails", &braze.Delete{Users: []braze.Target{byEmail("a@example.org")}}, "email_addresses[0].prioritization must not be empty", "'prioritization' is required"},
		{"that is known there", &braze.Delete{Users: []braze.Target{byEmail("a@example.org", braze.LeastRecentlyUpdated)}}, "email_addresses[0].prioritization is none of the words", "least_recently_updated"},
		{"an export is of somebody", &braze.ExportUsers{Fields: []string{"email"}}, "external_ids must not be empty", "one of external_ids"},
		{"50 at most", &braze.ExportUsers{ExternalIDs: many(51), Fields: []string{"email"}}, "external_ids has more entries", "max number of external_ids"},
		{"or of one address", &braze.ExportUsers{Email: "a@example.org", Phone: "+431234567", Fields: []string{"email"}}, "external_ids names the user in more than one way", "must be alone"},
		{"with fields", &braze.ExportUsers{ExternalIDs: []string{"a"}}, "fields_to_export must not be empty", "'fields_to_export' is required"},

		{"a catalog has a name", &braze.NewCatalog{Fields: catalog().Fields}, "name must not be empty", "invalid-catalog-name"},
		{"of 250 characters", &braze.NewCatalog{Name: long250, Fields: catalog().Fields}, "name is longer", "catalog-name-too-large"},
		{"of letters and digits", &braze.NewCatalog{Name: "pro ducts", Fields: catalog().Fields}, "name has characters", "invalid-catalog-name"},
		{"and a description of 250", &braze.NewCatalog{Name: "new", Description: long250, Fields: catalog().Fields}, "description is longer", "description-too-long"},
		{"and fields", &braze.NewCatalog{Name: "new"}, "fields[0] is none of the words", "invalid-fields"},
		{"of which the first is id", &braze.NewCatalog{Name: "new", Fields: []braze.CatalogField{{Name: "sku", Type: "string"}}}, "fields[0] is none of the words", "id-not-first-column"},
		{"a string", &braze.NewCatalog{Name: "new", Fields: []braze.CatalogField{{Name: "id", Type: "number"}}}, "fields[0] is none of the words", "id-not-first-column"},
		{"a field's name has 250 characters", catalog(braze.CatalogField{Name: long250, Type: "string"}), "fields[1].name is longer", "field-names-too-large"},
		{"of letters and digits", catalog(braze.CatalogField{Name: "a.b", Type: "string"}), "fields[1].name has characters", "invalid-field-names"},
		{"once", catalog(braze.CatalogField{Name: "a", Type: "string"}, braze.CatalogField{Name: "a", Type: "number"}), "fields[2].name stands in the request twice", "field-names-not-unique"},
		{"of a type there is", catalog(braze.CatalogField{Name: "a", Type: "money"}), "fields[1].type is none of the words", "invalid-field-types"},
		{"500 of them", catalog(each(many(500), func(id string) braze.CatalogField { return braze.CatalogField{Name: id, Type: "string"} })...), "fields has more entries", "too-many-fields"},

		{"items are some", change(braze.ReplaceItems, "products"), "items must not be empty", "item-array-invalid"},
		{"50 at most", change(braze.ReplaceItems, "products", each(many(51), func(id string) braze.CatalogItem { return item(id, "") })...), "items has more entries", "request-includes-too-many-items"},
		{"with an id", change(braze.ReplaceItems, "products", item("", "")), "items[0].id must not be empty", "items-missing-ids"},
		{"of 250 characters", change(braze.ReplaceItems, "products", item(long250, "")), "items[0].id is longer", "ids-too-large"},
		{"of letters and digits", change(braze.DeleteItems, "products", item("P 1", "")), "items[0].id has characters", "invalid-ids"},
		{"once", change(braze.DeleteItems, "products", item("P1", ""), item("P1", "")), "items[1].id stands in the request twice", "ids-not-unique"},
		{"a value has 5,000 characters", change(braze.ReplaceItems, "products", item("P1", `{"title":"`+strings.Repeat("ü", 5001)+`"}`)), "items[0].title is longer", "items-too-large"},
		{"also deep inside", change(braze.ReplaceItems, "products", item("P1", `{"o":{"a":["`+strings.Repeat("x", 5001)+`"]}}`)), "items[0].o is longer", "items-too-large"},
		{"an object is 50 deep", change(braze.ReplaceItems, "products", item("P1", string(nested(51)))), "items[0].o is nested too many levels deep", "too-deep-nesting-in-value-object"},
		{"its keys have no dot", change(braze.ReplaceItems, "products", item("P1", `{"o":{"a.b":1}}`)), "items[0].o.a.b has characters", "invalid-keys-in-value-object"},
		{"and no dollar", change(braze.ReplaceItems, "products", item("P1", `{"o":{"a":[{"$b":1}]}}`)), "items[0].o.$b has characters", "invalid-keys-in-value-object"},
		{"an array has 100 elements", change(braze.ReplaceItems, "products", item("P1", `{"tags":[`+strings.Repeat(`"a",`, 100)+`"a"]}`)), "items[0].tags has more entries", "unable-to-coerce-value"},
		{"of strings", change(braze.ReplaceItems, "products", item("P1", `{"tags":[1,2,3]}`)), "items[0].tags has another type", "unable-to-coerce-value"},
		{"only PATCH adds and removes", change(braze.ReplaceItems, "products", item("P1", `{"tags":{"$add":["a"]}}`)), "items[0].tags.$add has characters", "unable-to-coerce-value"},
		{"and lists what", change(braze.UpdateItems, "products", item("P1", `{"tags":{"$add":"a"}}`)), "items[0].tags must be a JSON array", "unable-to-coerce-value"},
	}
}

func TestWhatBreaksARuleIsRefusedByClientAndSandboxAlike(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	c := serve(t, s, 10*time.Second)
	products(t, c)
	for _, tt := range both() {
		t.Run(tt.name+", "+tt.check, func(t *testing.T) {
			v := tt.body.Check()
			if v == nil || !strings.HasPrefix(v.Error(), tt.check) {
				t.Errorf("check says %v, want %q", v, tt.check)
			}
			a := c.Call(t.Context(), braze.NewCall(nil, tt.body))
			if a.Verdict != braze.Malformed || !strings.Contains(a.Message, tt.words) {
				t.Errorf("%v: %q, want it malformed: %q", a.Verdict, a.Message, tt.words)
			}
		})
	}
	if n := len(s.Sends()) + len(s.Changes()) + len(s.Subscriptions()) + len(s.Catalogs()); n != 1 {
		t.Errorf("%d things have come of it, want the one catalog", n)
	}
}

// Some of what the client refuses Braze takes, and does something else than was meant.
func TestTheClientRefusesAlsoWhatWouldBeTakenWrongly(t *testing.T) {
	for _, tt := range []struct {
		name string
		body braze.Body
		want string
	}{
		{"of a user who is named twice only the last is sent", &braze.CampaignTrigger{CampaignID: "c", Recipients: to("a", "b", "a")}, "recipients[2] stands in the request twice"},
		{"or gets one message", &braze.MessageSend{Messages: []byte(`{"sms":{}}`), ExternalUserIDs: []string{"a", "a"}}, "external_user_ids[1] stands in the request twice"},
		{"merges of one user have no order", &braze.Merge{Updates: []braze.MergeUpdate{{From: user("a"), Into: user("b")}, {From: user("b"), Into: user("c")}}}, "merge_updates[1].identifier_to_merge stands in the request twice"},
		{"nor have renames", &braze.Renames{Renames: []braze.Rename{{Current: "a", New: "b"}, {Current: "b", New: "c"}}}, "external_id_renames[1].current_external_id stands in the request twice"},
		{"a prioritization without an address does nothing", &braze.Delete{Users: []braze.Target{{User: braze.User{ExternalID: "a"}, Prioritization: []braze.Prioritization{braze.Identified}}}}, "external_ids[0].prioritization must not stand here"},
		{"a rule twice is a slip", &braze.Delete{Users: []braze.Target{byEmail("a@example.org", braze.Identified, braze.Identified)}}, "email_addresses[0].prioritization stands in the request twice"},
		{"users of two kinds have no list", &braze.Delete{Users: []braze.Target{user("a"), {User: braze.User{BrazeID: "b"}}}}, "external_ids[1] must not stand here"},
		{"nor have those to identify", &braze.Identify{Users: []braze.Identification{{ExternalID: "a", Known: braze.Target{User: braze.User{Alias: alias("l", "n")}}}, {ExternalID: "b", Known: byEmail("a@example.org", braze.Identified)}}}, "aliases_to_identify[1] must not stand here"},
		{"attributes that Braze would leave out", &braze.CampaignTrigger{CampaignID: "c", Recipients: []braze.Recipient{{Target: user("a"), Attributes: []byte(`{"a":"` + strings.Repeat("x", 256) + `"}`)}}}, "recipients[0].attributes.a is longer"},
		{"a transactional campaign in the path", &braze.TransactionalMessage{CampaignID: "..", User: braze.User{ExternalID: "a"}}, "campaign_id must not be empty"},
		{"an id among the fields", change(braze.ReplaceItems, "products", item("P1", `{"id":"P2"}`)), "items[0].id must not stand here"},
		{"fields that are no object", change(braze.ReplaceItems, "products", item("P1", `[1]`)), "items[0] must be a JSON object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if v := tt.body.Check(); v == nil || !strings.HasPrefix(v.Error(), tt.want) {
				t.Errorf("check says %v, want %q", v, tt.want)
			}
		})
	}
}

func TestTheLimitItselfIsTaken(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	c := serve(t, s, 10*time.Second)
	products(t, c)
	for name, body := range map[string]braze.Body{
		"50 recipients":     &braze.CampaignTrigger{CampaignID: "c", Recipients: to(many(50)...)},
		"51,200 bytes":      &braze.CanvasTrigger{CanvasID: "c", Recipients: to("a"), Context: properties(51_200)},
		"987 bytes of id":   &braze.Delete{Users: []braze.Target{user(strings.Repeat("x", 987))}},
		"50 users a group":  &braze.SubscriptionStatusV2{Groups: []braze.GroupStatus{{GroupID: "g", State: braze.Subscribed, ExternalIDs: many(50)}, {GroupID: "h", State: braze.Subscribed, ExternalIDs: many(50)}}},
		"500 fields":        catalog(each(many(499), func(id string) braze.CatalogField { return braze.CatalogField{Name: id, Type: "string"} })...),
		"250 characters":    change(braze.ReplaceItems, "products", item(strings.Repeat("x", 250), `{}`)),
		"5,000 characters":  change(braze.ReplaceItems, "products", item("P1", `{"title":"`+strings.Repeat("ü", 5000)+`"}`)),
		"50 levels":         change(braze.ReplaceItems, "products", item("P1", string(nested(50)))),
		"100 elements":      change(braze.ReplaceItems, "products", item("P1", `{"tags":[`+strings.Repeat(`"a",`, 99)+`"a"]}`)),
		"every character":   &braze.TransactionalMessage{CampaignID: "c", ExternalSendID: "aZ09-_+/=", User: braze.User{ExternalID: "a"}},
		"a geo's two":       change(braze.ReplaceItems, "products", item("P1", `{"at":[-16.37,48.2]}`)),
		"a catalog's 50":    change(braze.DeleteItems, "products", each(many(50), func(id string) braze.CatalogItem { return item(id, "") })...),
		"50 addresses":      &braze.EmailSubscription{State: braze.OptedIn, Emails: each(many(50), func(id string) string { return id + "@example.org" })},
		"50 to be exported": &braze.ExportUsers{ExternalIDs: many(50), Fields: []string{"email"}},
	} {
		t.Run(name, func(t *testing.T) {
			if v := body.Check(); v != nil {
				t.Errorf("check says %v", v)
			}
			if a := c.Call(t.Context(), braze.NewCall(nil, body)); a.Verdict != braze.Accepted || len(a.Items) > 0 {
				t.Errorf("%v: %s %v", a.Verdict, a.Message, a.Items)
			}
		})
	}
}

// products makes a catalog that has a field of every type.
func products(t *testing.T, c *braze.Client) {
	t.Helper()
	fields := []braze.CatalogField{{Name: "id", Type: "string"}}
	for name, kind := range map[string]string{"title": "string", "price": "number", "tags": "array", "o": "object", "at": "geo", "since": "time", "sold": "boolean"} {
		fields = append(fields, braze.CatalogField{Name: name, Type: kind})
	}
	accepted(t, c, &braze.NewCatalog{Name: "products", Fields: fields})
}

// accepted makes a call that must be accepted with all its items.
func accepted(t *testing.T, c *braze.Client, body braze.Body) braze.Answer {
	t.Helper()
	if v := body.Check(); v != nil {
		t.Fatalf("check says %v", v)
	}
	a := c.Call(t.Context(), braze.NewCall(nil, body))
	if a.Verdict != braze.Accepted || len(a.Items) > 0 || a.Strange > 0 {
		t.Fatalf("%v %d: %s %v, %v", a.Verdict, a.Status, a.Message, a.Items, a.Err)
	}
	return a
}
