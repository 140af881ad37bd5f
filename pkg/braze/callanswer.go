package braze

import (
	"bytes"
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// callWire is what an answer may hold. Each member is read as whatever it is, because one of a wrong type
// must not hide the others.
type callWire struct {
	Message    jsontext.Value `json:"message"`
	Error      jsontext.Value `json:"error"`
	Errors     jsontext.Value `json:"errors"`
	Renames    jsontext.Value `json:"rename_errors"`
	Notice     jsontext.Value `json:"notice"`
	DispatchID jsontext.Value `json:"dispatch_id"`
	SendID     jsontext.Value `json:"send_id"`
	Status     jsontext.Value `json:"status"`
	Deleted    jsontext.Value `json:"deleted"`
	Aliases    jsontext.Value `json:"aliases_processed"`
}

const (
	maxID = 256 // bytes of an id that Braze gives
	// alreadyQueued begins what Braze says of an external_send_id that it has taken a moment before. The
	// status that comes with it is not documented (braze-docs: post_send_transactional_message).
	alreadyQueued   = "The external reference has been queued"
	catalogNotFound = "catalog-not-found"
	// arbitraryError is to be tried again, Braze says (braze-docs: post_create_catalog_item).
	arbitraryError = "arbitrary-error"
	// storageUsedUp is the account's fault and not the item's (braze-docs: put_update_catalog_items).
	storageUsedUp = "company-size-limit-already-reached"
)

// parseCall reads the answer to a call into a. Whole is false when the body was cut off or monstrous.
func (a *Answer) parseCall(body []byte, whole bool, call *Call) {
	var wire callWire
	if !whole || len(body) == 0 || json.Unmarshal(body, &wire, lenient) != nil || !isObject(body) {
		a.Message = a.unreadable(body)
		return
	}
	if call.Endpoint.keepsBody && a.Verdict == Accepted {
		a.Body = bytes.Clone(body)
	}
	a.Message = cmp.Or(text(wire.Message), text(wire.Error))
	a.Notice = shortened(text(wire.Notice), maxMessage)
	a.DispatchID = shortened(text(wire.DispatchID), maxID)
	a.SendID = shortened(text(wire.SendID), maxID)
	a.SendStatus = shortened(text(wire.Status), maxID)
	a.Deleted, _ = index(wire.Deleted)
	a.Aliases, _ = index(wire.Aliases)

	a.readCallErrors(wire.Errors, call, false)
	a.readCallErrors(wire.Renames, call, true)

	if call.Endpoint == TransactionalSend {
		switch {
		case strings.Contains(a.Message, alreadyQueued):
			a.Verdict, a.Duplicate, a.Strange = Accepted, true, 0
		case a.Status == http.StatusNotFound && a.Message != "":
			// The path names a campaign, and it is Braze that speaks of it.
			a.Verdict = Malformed
		}
	}
	if a.Message == "" && a.Verdict != Accepted {
		a.Message = http.StatusText(a.Status)
	}
	a.Message = shortened(a.Message, maxMessage)
}

// readCallErrors reads a list of errors: entries with an index, a catalog's errors, or sentences. Only in
// a list of renames is an index looked for in a sentence: elsewhere a number is any number.
func (a *Answer) readCallErrors(list jsontext.Value, call *Call, renames bool) {
	if len(list) == 0 || list.Kind() == 'n' {
		return
	}
	var entries []jsontext.Value
	if json.Unmarshal(list, &entries, lenient) != nil {
		entries = []jsontext.Value{list}
	}
	for _, entry := range entries {
		if a.readCatalogError(entry, call) || a.readIndexed(entry, call, renames) {
			continue
		}
		if a.Verdict == Accepted {
			a.Strange++
		}
		if words := text(entry); words != "" && len(a.Message) < maxMessage {
			a.Message = join(a.Message, words)
		}
	}
}

// readIndexed reads an entry that refers to an item by its index: {"index": 3, …}, or a sentence in which
// the index is named, as those of a rename may be (braze-docs: post_external_ids_rename, which gives no
// sample).
func (a *Answer) readIndexed(entry jsontext.Value, call *Call, renames bool) bool {
	item := ItemError{Index: -1}
	switch entry.Kind() {
	case '{':
		var wire struct {
			Index   jsontext.Value `json:"index"`
			Type    jsontext.Value `json:"type"`
			Error   jsontext.Value `json:"error"`
			Message jsontext.Value `json:"message"`
		}
		if json.Unmarshal(entry, &wire, lenient) != nil {
			return false
		}
		if i, ok := index(wire.Index); ok {
			item.Index = i
		}
		item.Type = cmp.Or(text(wire.Type), text(wire.Error), text(wire.Message), "unspecified")
	case '"':
		if item.Type = text(entry); renames {
			item.Index = indexIn(item.Type)
		}
	}
	if item.Index < 0 || item.Index >= call.Items {
		return false
	}
	item.Type = shortened(item.Type, maxMessage)
	a.refuse(item)
	return true
}

// indexIn is the number that a sentence calls an index, or that stands in square brackets; -1 when there
// is none.
func indexIn(sentence string) int {
	lower := strings.ToLower(sentence)
	for _, mark := range []string{"index", "["} {
		_, after, found := strings.Cut(lower, mark)
		if !found {
			continue
		}
		after = strings.TrimLeft(after, " :#=")
		end := 0
		for end < len(after) && after[end] >= '0' && after[end] <= '9' {
			end++
		}
		if i, err := strconv.Atoi(after[:end]); err == nil {
			return i
		}
	}
	return -1
}

// readCatalogError reads {"id", "message", "parameters", "parameter_values"}. The items at fault are
// those whose ids are among the values; where no item is, it may be any of them, unless there is but one,
// or unless all are: the catalog does not exist.
func (a *Answer) readCatalogError(entry jsontext.Value, call *Call) bool {
	if entry.Kind() != '{' || !strings.HasPrefix(call.Endpoint.Path, "/catalogs") {
		return false
	}
	var wire struct {
		ID      jsontext.Value `json:"id"`
		Message jsontext.Value `json:"message"`
		Values  jsontext.Value `json:"parameter_values"`
	}
	if json.Unmarshal(entry, &wire, lenient) != nil || text(wire.ID) == "" {
		return false
	}
	words := text(wire.ID)
	if message := text(wire.Message); message != "" {
		words += ": " + message
	}
	words = shortened(words, maxMessage)
	if a.Message == "" || !strings.Contains(a.Message, words) {
		a.Message = join(a.Message, words)
	}
	var at []int
	switch id := text(wire.ID); {
	case id == arbitraryError && a.Verdict != Accepted:
		a.Verdict = Unavailable
		return true
	case id == storageUsedUp && a.Verdict != Accepted:
		a.Verdict = Stopped
		return true
	case id == catalogNotFound:
		if a.Status == http.StatusNotFound {
			a.Verdict = Malformed
		}
		for i := range call.Items {
			at = append(at, i)
		}
	case call.Items == 1:
		at = []int{0}
	default:
		at = call.itemsNamed(wire.Values)
	}
	for _, i := range at {
		a.refuse(ItemError{Index: i, Type: words})
	}
	if len(at) == 0 && a.Verdict == Accepted {
		a.Strange++
	}
	return true
}

// itemsNamed are the indices of those items in the call's body whose id stands among the values.
func (c *Call) itemsNamed(values jsontext.Value) (found []int) {
	ids := map[string]bool{}
	collect(values, ids, 3)
	if len(ids) == 0 {
		return nil
	}
	for name, items := range jsonscan.Members(c.Body) {
		if string(name) != "items" {
			continue
		}
		i := 0
		for item := range jsonscan.Elements(items) {
			for name, value := range jsonscan.Members(item) {
				if id, ok := jsonscan.String(value); ok && string(name) == "id" && ids[string(id)] {
					found = append(found, i)
				}
			}
			i++
		}
	}
	return found
}

// collect adds all strings in a value, nested to that depth, to a set.
func collect(value jsontext.Value, into map[string]bool, depth int) {
	switch value.Kind() {
	case '"':
		into[text(value)] = true
	case '[':
		var elements []jsontext.Value
		if depth > 0 && json.Unmarshal(value, &elements, lenient) == nil {
			for _, e := range elements {
				collect(e, into, depth-1)
			}
		}
	}
}
