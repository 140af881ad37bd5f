package brazesender

import (
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// Previewer makes the requests of actions without sending them. It is not safe for concurrent use.
type Previewer struct{ sender *Sender }

// NewPreviewer makes one. Nothing is connected to.
func NewPreviewer() *Previewer {
	return &Previewer{&Sender{lines: newLines(braze.Config{MaxObjects: braze.MaxObjects}, Options{})}}
}

// Preview is a request as it would be sent if its record travelled alone. In earnest several customers
// share one where the endpoint allows it.
type Preview struct {
	Method, Path string
	Body         []byte
}

// Request is what an action of a record would send. The record has been found to be valid; an error says
// why the sender would refuse it. There is none for [routes.Skip].
func (p *Previewer) Request(r routes.Record, a *routes.Action) (Preview, error) {
	d := &drafts{now: time.Now()}
	if err := p.sender.ask(d, r, a); err != nil {
		return Preview{}, err
	}
	if len(d.parts) == 0 {
		return Preview{}, nil
	}
	ln := d.parts[0].line
	f := &flight{line: ln, loads: []load{{&item{parts: d.parts}, 0, uint16(len(d.parts))}}}
	f.encode(span{0, 1})
	return Preview{Method: ln.outlet.endpoint.Method, Path: ln.path, Body: f.body}, nil
}
