package webhook

import (
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/config"
)

// Placeholder finds {since} and its like.
var Placeholder = regexp.MustCompile(`\{(since|cursor|page|offset|limit)\}`)

// addressProblem is what is wrong with an address once it is filled in. What goes there has our
// credentials with it, so it is https except on one's own machine.
func addressProblem(field, text string) error {
	u, err := url.Parse(Placeholder.ReplaceAllString(text, "0"))
	const allowed = "an https address (http on localhost only)"
	if err != nil || u.Host == "" || u.User != nil {
		return problem(field, allowed)
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return problem(field, allowed)
	}
	if path, _, _ := strings.Cut(text, "?"); Placeholder.MatchString(path) {
		return problem(field, "placeholders in the query only")
	}
	return nil
}

var placeOfVariable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}`)

// fill puts variables into a text, and returns the names of those that are not there.
func fill(text string, o Options) (filled string, missing []string) {
	filled = placeOfVariable.ReplaceAllStringFunc(text, func(place string) string {
		m := placeOfVariable.FindStringSubmatch(place)
		if value := lookup(o, m[1]); value != "" {
			return value
		}
		if m[2] == "" {
			missing = append(missing, m[1])
		}
		return m[3]
	})
	return filled, missing
}

// fillAll fills every text that may hold variables in.
func (p *Poll) fillAll(o Options) (missing []string) {
	texts := []*string{&p.URL, &p.Body, &p.Paging.URL, &p.Paging.Body, &p.Auth.TokenURL, &p.Since.Start}
	for _, text := range texts {
		var none []string
		*text, none = fill(*text, o)
		missing = append(missing, none...)
	}
	p.Headers = maps.Clone(p.Headers)
	for name, value := range p.Headers {
		filled, none := fill(value, o)
		p.Headers[name] = filled
		missing = append(missing, none...)
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// one is a secret from the environment, or from the first line of a file that it names.
func oneSecret(o Options, name string) (config.Secret, error) {
	if value := lookup(o, name); value != "" {
		return config.Secret(strings.TrimSpace(value)), nil
	}
	path := lookup(o, name+"_FILE")
	if path == "" {
		return "", nil
	}
	lines, err := secretsIn(path, o)
	if err != nil {
		return "", problem(name+"_FILE", "a file that can be read: "+err.Error())
	}
	if len(lines) == 0 {
		return "", nil
	}
	return lines[0], nil
}
