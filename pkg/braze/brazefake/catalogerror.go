package brazefake

import (
	"net/http"
)

// catalogError is one of the errors that catalogs are answered with, by their documented ids.
type catalogError struct {
	ID         string   `json:"id"`
	Message    string   `json:"message"`
	Parameters []string `json:"parameters"`
	Values     []string `json:"parameter_values"`
}

// invalid refuses a call about catalogs with one error. Pairs are a parameter and its value each.
func invalid(status int, id, message string, pairs ...string) reply {
	e := catalogError{ID: id, Message: message, Parameters: []string{}, Values: []string{}}
	for i := 0; i < len(pairs); i += 2 {
		e.Parameters, e.Values = append(e.Parameters, pairs[i]), append(e.Values, pairs[i+1])
	}
	body := mustJSON(map[string]any{"message": "Invalid Request", "errors": []catalogError{e}})
	return reply{status: status, body: body, message: id + ": " + message}
}

func bad(id, message string, pairs ...string) reply {
	return invalid(http.StatusBadRequest, id, message, pairs...)
}
