package hubspot

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// batchAnswer is what a batch call answers with 200 or 207. Members that we do not need are passed over.
type batchAnswer struct {
	Status  string        `json:"status"`
	Results []batchResult `json:"results"`
	Errors  []batchError  `json:"errors"`
}

type batchResult struct {
	ID         string         `json:"id"`
	TraceID    string         `json:"objectWriteTraceId"`
	Properties jsontext.Value `json:"properties"`
	// Of associations.
	From end `json:"from"`
}

type end struct {
	ID string `json:"id"`
}

type batchError struct {
	Category string         `json:"category"`
	Message  string         `json:"message"`
	Context  jsontext.Value `json:"context"`
}

var errNoBatch = errors.New("it is no answer to a batch")

// decodeBatch reads an answer. Objects may name a member twice: nobody has promised otherwise.
func decodeBatch(body []byte) (batchAnswer, error) {
	var a batchAnswer
	if err := json.Unmarshal(body, &a, jsontext.AllowDuplicateNames(true)); err != nil {
		return batchAnswer{}, fmt.Errorf("reading the answer: %w", err)
	}
	if a.Status == "" && a.Results == nil && a.Errors == nil {
		return batchAnswer{}, fmt.Errorf("reading the answer: %w", errNoBatch)
	}
	return a, nil
}

// named are the words of an error's context under a name: the trace ids or ids that it speaks of. HubSpot writes lists,
// and in places a single text.
func (e *batchError) named(name string) []string {
	var context map[string]jsontext.Value
	if len(e.Context) == 0 || json.Unmarshal(e.Context, &context, jsontext.AllowDuplicateNames(true)) != nil {
		return nil
	}
	value := context[name]
	switch value.Kind() {
	case '[':
		var words []string
		if json.Unmarshal(value, &words) == nil {
			return words
		}
	case '"':
		var word string
		if json.Unmarshal(value, &word) == nil {
			return []string{word}
		}
	}
	return nil
}

// property is the text of one property of a result; "" where there is none.
func (r *batchResult) property(name string) string {
	var properties map[string]jsontext.Value
	if len(r.Properties) == 0 || json.Unmarshal(r.Properties, &properties, jsontext.AllowDuplicateNames(true)) != nil {
		return ""
	}
	var text string
	if value := properties[name]; value.Kind() != '"' || json.Unmarshal(value, &text) != nil {
		return ""
	}
	return text
}

// failed is how HubSpot says that a call was not taken.
type failed struct {
	Message       string `json:"message"`
	Category      string `json:"category"`
	PolicyName    string `json:"policyName"`
	CorrelationID string `json:"correlationId"`
}

// decodeFailed reads it; an answer that is something else, such as a proxy's page, has its words for a message.
func decodeFailed(body []byte) failed {
	var f failed
	if err := json.Unmarshal(body, &f, jsontext.AllowDuplicateNames(true)); err != nil {
		return failed{Message: strings.ToValidUTF8(string(body[:min(len(body), 512)]), "\uFFFD")}
	}
	return f
}
