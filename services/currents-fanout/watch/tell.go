package watch

import (
	"time"

	"github.com/rs/zerolog"
)

// tell writes the line that says that an alarm began or ended.
func tell(log zerolog.Logger, c Change) {
	e := log.Warn()
	if !c.Began {
		e = log.Info().Dur("lasted_ms", time.Since(c.Since))
	}
	e = e.Str("alarm", string(c.Kind)).Str("workspace", c.Workspace)
	if c.Type != "" {
		e = e.Str("event_type", c.Type)
	}
	if !c.Newest.IsZero() {
		e = e.Time("newest_received", c.Newest)
	}
	if c.Kind == RateDropped && !c.Forgotten {
		e = e.Int("last_hour", c.Last).Int("usual_hour", c.Usual)
	}
	if c.Began && !c.CutOff.IsZero() {
		e = e.Time("cut_off", c.CutOff)
	}
	e.Msg(c.words())
}

// words are what happened.
func (c Change) words() string {
	if c.Forgotten {
		return "an alarm of Currents ends: nothing has been heard for so long that it is forgotten"
	}
	switch c.Kind {
	case ConnectorSilent:
		if c.Began {
			return "a Currents connector is silent: Braze gives it up five days after its first failure"
		}
		return "a Currents connector speaks again"
	case TypeSilent:
		if c.Began {
			return "Currents sends no events of a type any more that came regularly"
		}
		return "Currents sends events of a type again"
	case RateDropped:
		if c.Began {
			return "Currents sends far fewer events than usual"
		}
		return "Currents sends as many events as usual again"
	}
	return string(c.Kind)
}
