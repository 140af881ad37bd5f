package brazefake

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// object is one entry of one of a request's arrays. Its byte slices belong to the request's body.
type object struct {
	array braze.Array
	index int
	raw   []byte // all of it
	who   identity
	user  string // canonical id; empty when there is no telling

	name       []byte // of an event; product_id of a purchase; unquoted
	when       []byte // its time, raw like all that follow
	properties []byte
	appID      []byte
	currency   []byte
	price      []byte
	quantity   []byte
	updateOnly byte // 't', 'f', or 0 when not said

	at      time.Time // of an event or purchase, as it is stored
	clamped bool
	refusal string    // why the object was refused; empty when it was not
	entry   *Received // guarded by the log but for what identifies it
}

var (
	errNotJSON   = errors.New("the body could not be parsed: send valid JSON as application/json")
	errNoObjects = errors.New("at least one object is needed in attributes, events or purchases")
	syntax       = jsontext.AllowDuplicateNames(true)
)

// parseBody takes a request's body apart, in the order in which Braze applies the arrays. Present
// tells which arrays were sent.
func parseBody(body []byte) (objects []object, present [3]bool, err error) {
	if value := jsontext.Value(body); !value.IsValid(syntax) || value.Kind() != '{' {
		return nil, present, errNotJSON
	}
	var arrays [3][]byte
	for name, value := range jsonscan.Members(body) {
		a, known := arrayOf(jsonscan.Unquote(name))
		if !known {
			continue
		}
		if value[0] != '[' {
			return nil, present, fmt.Errorf("'%v' must be an array of objects", a)
		}
		arrays[a], present[a] = value, true
	}
	objects = make([]object, 0, braze.MaxObjects)
	for a, array := range arrays {
		index := 0
		for element := range jsonscan.Elements(array) {
			objects = append(objects, object{array: braze.Array(a), index: index, raw: element})
			index++
		}
	}
	if len(objects) == 0 {
		return nil, present, errNoObjects
	}
	return objects, present, nil
}

func arrayOf(name []byte) (braze.Array, bool) {
	for a := braze.Attributes; a <= braze.Purchases; a++ {
		if string(name) == a.String() {
			return a, true
		}
	}
	return 0, false
}

// countObjects counts the entries of the arrays and looks at nothing else.
func countObjects(body []byte) (counts [3]int, present [3]bool) {
	for name, value := range jsonscan.Members(body) {
		if a, known := arrayOf(name); known {
			present[a] = true
			for range jsonscan.Elements(value) {
				counts[a]++
			}
		}
	}
	return counts, present
}

// parse reads the members that matter to all rules, in one pass.
func (o *object) parse() {
	if o.raw[0] != '{' {
		o.refusal = "not an object"
		return
	}
	for name, value := range jsonscan.Members(o.raw) {
		switch string(name) {
		case "external_id", "user_alias", "braze_id", "email", "phone":
			o.who.read(string(name), value)
		case "_update_existing_only":
			if value[0] == 't' || value[0] == 'f' {
				o.updateOnly = value[0]
			}
		case "name", "product_id":
			if (string(name) == "name") == (o.array == braze.Events) {
				o.name, _ = jsonscan.String(value)
			}
		case "time":
			o.when = value
		case "properties":
			o.properties = value
		case "app_id":
			o.appID = value
		case "currency":
			o.currency = value
		case "price":
			o.price = value
		case "quantity":
			o.quantity = value
		case "push_token_import":
			o.who.pushImport = o.array == braze.Attributes && value[0] == 't'
		}
	}
	o.user = o.who.key()
	o.refusal = o.who.check()
}

// isNull reports whether a raw value is null.
func isNull(value []byte) bool { return bytes.Equal(value, []byte("null")) }
