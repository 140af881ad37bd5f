package brazefake

import (
	"net/http"
	"strconv"

	"github.com/sluicehq/sluice/pkg/braze"
)

// reply is an answer to be written.
type reply struct {
	status  int
	body    []byte
	message string // for the log of requests
}

// accepted is the answer of an accepted request (braze-docs: post_user_track, recommended_events).
func (c *call) accepted() reply {
	status, message := http.StatusCreated, "success"
	if c.endpoint == braze.UsersTrackBulk {
		status = c.knobs.PlainStatus
	}
	if c.refused > 0 && c.refused == len(c.objects) && c.knobs.AllFailedStatus != http.StatusCreated {
		status, message = c.knobs.AllFailedStatus, "no valid objects"
	}
	processed := c.counts
	for i := range c.objects {
		if c.objects[i].refusal != "" {
			processed[c.objects[i].array]--
		}
	}
	body := append(make([]byte, 0, 128), `{"message":"`...)
	body = append(append(body, message...), '"')
	for a, sent := range c.present {
		if sent {
			body = append(append(append(body, `,"`...), braze.Array(a).String()...), `_processed":`...)
			body = strconv.AppendInt(body, int64(processed[a]), 10)
		}
	}
	if c.refused > 0 {
		body = append(body, `,"errors":[`...)
		for i := range c.objects {
			o := &c.objects[i]
			if o.refusal == "" {
				continue
			}
			body = append(strconv.AppendInt(append(body, `{"index":`...), int64(o.index), 10), `,"input_array":"`...)
			body = append(append(body, o.array.String()...), `","type":`...)
			body = append(braze.AppendString(body, o.refusal), `},`...)
		}
		body[len(body)-1] = ']'
	}
	return reply{status: status, body: append(body, '}')}
}

// fatal refuses a whole request.
func fatal(status int, message string) reply {
	body := append(braze.AppendString([]byte(`{"message":`), message), '}')
	if message == errNotJSON.Error() {
		body = append(braze.AppendString([]byte(`{"error":`), message), '}')
	}
	return reply{status: status, body: body, message: message}
}

// fault is the answer of a server that cannot, or of the gateway before it.
func fault(status int) reply {
	text := http.StatusText(status)
	if status == http.StatusBadGateway || status == http.StatusGatewayTimeout {
		return reply{status: status, body: []byte("<html><title>" + text + "</title></html>"), message: text}
	}
	return fatal(status, text)
}

// write writes the answer, and reports whether it went through to the client as far as we can tell.
func (s *Sandbox) write(w http.ResponseWriter, c *call, answer reply) bool {
	if c.mishap.drop {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if len(answer.body) > 0 && answer.body[0] == '<' {
		h.Set("Content-Type", "text/html")
	}
	h.Set("Content-Length", strconv.Itoa(len(answer.body)))
	w.WriteHeader(answer.status)
	if _, err := w.Write(answer.body); err != nil {
		return false
	}
	return s.options.Forget || http.NewResponseController(w).Flush() == nil
}
