package webhook

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/config"
)

// secretsOf finds the secrets that an auth names, in order; several are good at once while one is
// rotated. What is not there is passed over: missing says what, for the log.
func secretsOf(a *Auth, o Options) (found []config.Secret, missing []string, err error) {
	for _, ref := range a.Secrets {
		path, isFile := strings.CutPrefix(ref, "file:")
		name, isEnv := variable(ref)
		switch {
		case isFile:
			lines, err := secretsIn(path, o)
			if err != nil {
				return nil, nil, problem("auth.secrets", "file:PATH of a file that can be read: "+err.Error())
			}
			found = append(found, lines...)
		case isEnv:
			if value := lookup(o, name); value != "" {
				found = append(found, config.Secret(value))
			} else {
				missing = append(missing, name)
			}
		default: // the value is not repeated, in case it is one
			return nil, nil, problem("auth.secrets", "${NAME} or file:PATH each; a secret itself does not belong in this file")
		}
	}
	if a.SecretEnv == "" {
		return found, missing, nil
	}
	for part := range strings.SplitSeq(lookup(o, a.SecretEnv), ",") {
		if part = strings.TrimSpace(part); part != "" {
			found = append(found, config.Secret(part))
		}
	}
	if path := lookup(o, a.SecretEnv+"_FILE"); path != "" {
		lines, err := secretsIn(path, o)
		if err != nil {
			return nil, nil, problem(a.SecretEnv+"_FILE", "a file that can be read: "+err.Error())
		}
		found = append(found, lines...)
	}
	if len(found) == 0 {
		missing = append(missing, a.SecretEnv)
	}
	return found, missing, nil
}

// refusePublic refuses secrets that the vendor has published.
func (a *Auth) refusePublic(secrets []config.Secret) error {
	for _, public := range a.PublicSecrets {
		if slices.Contains(secrets, config.Secret(public)) {
			return problem(cmp.Or(a.SecretEnv, "auth.secrets"), "a secret of one's own: this one the vendor has published, for tests, and everybody can sign with it")
		}
	}
	return nil
}

// secretsIn reads a file with a secret on each line.
func secretsIn(path string, o Options) (found []config.Secret, err error) {
	if o.ReadFile == nil {
		return nil, nil
	}
	text, err := o.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, config.Secret(line))
		}
	}
	return found, nil
}

func lookup(o Options, name string) string {
	if o.Env == nil {
		return ""
	}
	value, _ := o.Env(name)
	return value
}

// variable takes the name out of ${NAME}.
func variable(text string) (name string, ok bool) {
	name, ok = strings.CutPrefix(text, "${")
	if !ok {
		return "", false
	}
	name, ok = strings.CutSuffix(name, "}")
	return name, ok && name != ""
}

// expand puts variables into settings, which may be ${NAME} or ${NAME:-default}. Words for true and
// false become that, because nobody can say it otherwise in an environment.
func expand(settings map[string]any, o Options) (map[string]any, error) {
	all := make(map[string]any, len(settings))
	for key, value := range settings {
		if text, ok := value.(string); ok {
			if _, ok := variable(text); ok {
				all[key] = meant(expanded(text, o))
				continue
			}
		}
		plain, err := plainValue(value)
		if err != nil {
			return nil, problem("settings."+key, "text, number, true, false, or lists and mappings of them")
		}
		all[key] = plain
	}
	return all, nil
}

// expanded is a text, or what it stands for if it is ${NAME} or ${NAME:-default}.
func expanded(text string, o Options) string {
	inner, ok := variable(text)
	if !ok {
		return text
	}
	name, otherwise, _ := strings.Cut(inner, ":-")
	return cmp.Or(lookup(o, name), otherwise)
}

func meant(text string) any {
	switch text {
	case "":
		return nil
	case "true":
		return true
	case "false":
		return false
	}
	return text
}
