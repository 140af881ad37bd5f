package watch

import "time"

// Config is what can be set.
type Config struct {
	Off bool `yaml:"off" env:"CURRENTS_WATCH_OFF" default:"false" doc:"do not watch whether Currents falls silent"`
	// MinEvents keeps types out of it that come so seldom that nobody can say what their silence means.
	MinEvents   int           `yaml:"min_events" env:"CURRENTS_WATCH_MIN_EVENTS" default:"20" min:"2" max:"1000000" doc:"events that a type must have had within a day for its silence to be an alarm"`
	Silence     time.Duration `yaml:"silence" env:"CURRENTS_WATCH_SILENCE" default:"30m" min:"10m" max:"24h" doc:"shortest silence that is an alarm; a type's own rhythm may allow longer ones, a day at most"`
	DropPercent int           `yaml:"drop_percent" env:"CURRENTS_WATCH_DROP_PERCENT" default:"50" min:"1" max:"95" doc:"what is left of the usual hourly rate, in percent, when it counts as dropped"`
	Types       int           `yaml:"types" env:"CURRENTS_WATCH_TYPES" default:"1000" min:"1" max:"20000" doc:"most pairs of connector and event type that are watched; the one heard of last stays"`
	Campaigns   int           `yaml:"campaigns" env:"CURRENTS_WATCH_CAMPAIGNS" default:"1000" min:"1" max:"20000" doc:"most campaigns and steps of Canvases that are counted"`
	// CampaignMetrics bounds what the metrics' database has to hold; sluice currents shows them all.
	CampaignMetrics int `yaml:"campaign_metrics" env:"CURRENTS_WATCH_CAMPAIGN_METRICS" default:"25" min:"0" max:"1000" doc:"how many of these, the busiest, have metrics of their own"`
	Remember        int `yaml:"remember" env:"CURRENTS_WATCH_REMEMBER" default:"500000" min:"1000" max:"50000000" doc:"event ids of which a repeat is not counted again; up to 40 bytes each"`
}

func (c Config) rules() Rules {
	return Rules{
		MinEvents: c.MinEvents, Floor: c.Silence, DropPercent: c.DropPercent, Types: c.Types, Steps: c.Campaigns, Remember: c.Remember,
	}
}
