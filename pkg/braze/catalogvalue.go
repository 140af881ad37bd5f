package braze

import (
	"bytes"
	"strconv"

	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// isArrayChange reports whether an object is {"$add": …, "$remove": …} or one of the two.
func isArrayChange(value []byte) bool {
	n := 0
	for name := range jsonscan.Members(value) {
		if string(name) != "$add" && string(name) != "$remove" {
			return false
		}
		n++
	}
	return n > 0
}

func checkCatalogValue(field string, value []byte) *Violation {
	switch value[0] {
	case '[':
		return checkCatalogArray(field, value)
	case '{':
		return checkCatalogObject(field, value, 1)
	}
	return checkCatalogString(field, value)
}

// checkCatalogArray checks a field that is an array: of strings, or of the two numbers of a geo.
func checkCatalogArray(field string, value []byte) *Violation {
	if value[0] != '[' {
		return &Violation{Field: field, Rule: RuleNotAList}
	}
	n, numbers := 0, 0
	for element := range jsonscan.Elements(value) {
		if n++; n > MaxCatalogArray {
			return &Violation{Field: field, Rule: RuleTooManyItems, Detail: strconv.Itoa(MaxCatalogArray) + " at most"}
		}
		if element[0] != '"' {
			numbers++
		}
		if v := checkCatalogString(field, element); v != nil {
			return v
		}
	}
	if numbers > 0 && (numbers != n || n != 2 || !twoNumbers(value)) {
		return &Violation{Field: field, Rule: RuleWrongType, Detail: "an array holds strings, a geo two numbers"}
	}
	return nil
}

func twoNumbers(value []byte) bool {
	for element := range jsonscan.Elements(value) {
		if c := element[0]; c != '-' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// checkCatalogObject checks what is nested in a field; depth is that of the value itself.
func checkCatalogObject(field string, value []byte, depth int) *Violation {
	if value[0] != '{' && value[0] != '[' {
		return checkCatalogString(field, value)
	}
	if depth > MaxCatalogNesting {
		return &Violation{Field: field, Rule: RuleTooDeep, Detail: "more than 50 in a catalog"}
	}
	for element := range jsonscan.Elements(value) {
		if v := checkCatalogObject(field, element, depth+1); v != nil {
			return v
		}
	}
	for name, member := range jsonscan.Members(value) {
		if bytes.ContainsAny(jsonscan.Unquote(name), ".$") {
			return &Violation{Field: field + "." + shortName(name), Rule: RulePattern, Detail: "a key has no . and no $"}
		}
		if v := checkCatalogObject(field, member, depth+1); v != nil {
			return v
		}
	}
	return nil
}

func checkCatalogString(field string, value []byte) *Violation {
	if value[0] == '"' && longer(value[1:len(value)-1], MaxCatalogValue) {
		return &Violation{Field: field, Rule: RuleTooLong, Detail: "5000 characters"}
	}
	return nil
}
