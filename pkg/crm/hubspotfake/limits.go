package hubspotfake

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// The policies by which calls are refused (hubspot: usage guidelines).
const (
	policyRolling = "TEN_SECONDLY_ROLLING"
	policyDaily   = "DAILY"
)

// spend takes a call from the limits and writes their headers; it returns the answer where nothing is left. The
// daily headers are missing for OAuth. The lock is held.
func (s *Sandbox) spend(h http.Header, oauth bool) *reply {
	now := s.options.Now().UTC()
	if day := now.Format(time.DateOnly); day != s.day {
		s.day, s.daily = day, 0
	}
	s.window = slices.DeleteFunc(s.window, func(t time.Time) bool { return now.Sub(t) >= s.options.Interval })
	policy := ""
	switch {
	case s.options.Daily > 0 && s.daily >= s.options.Daily && !oauth:
		policy = policyDaily
	case s.options.PerInterval > 0 && len(s.window) >= s.options.PerInterval:
		policy = policyRolling
	default:
		s.window = append(s.window, now)
		s.daily++
	}
	if limit := s.options.PerInterval; limit > 0 {
		h.Set("X-HubSpot-RateLimit-Max", strconv.Itoa(limit))
		h.Set("X-HubSpot-RateLimit-Remaining", strconv.Itoa(limit-len(s.window)))
		h.Set("X-HubSpot-RateLimit-Interval-Milliseconds", strconv.FormatInt(s.options.Interval.Milliseconds(), 10))
	}
	if limit := s.options.Daily; limit > 0 && !oauth {
		h.Set("X-HubSpot-RateLimit-Daily", strconv.Itoa(limit))
		h.Set("X-HubSpot-RateLimit-Daily-Remaining", strconv.Itoa(limit-s.daily))
	}
	if policy == "" {
		return nil
	}
	return &reply{status: http.StatusTooManyRequests, body: errorBody{
		Status: "error", Message: "You have reached your " + policy + " limit.", ErrorType: "RATE_LIMIT",
		CorrelationID: correlation, Policy: policy,
	}}
}
