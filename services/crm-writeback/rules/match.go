package rules

import "strings"

// patterns are names in which a * stands for anything; none fit every name.
type patterns struct {
	all   bool
	exact map[string]bool
	globs [][]string // what stands between the stars
}

func newPatterns(list []string) patterns {
	p := patterns{all: len(list) == 0, exact: map[string]bool{}}
	for _, text := range list {
		if strings.Contains(text, "*") {
			p.globs = append(p.globs, strings.Split(text, "*"))
		} else {
			p.exact[text] = true
		}
	}
	return p
}

func (p patterns) fit(name string) bool {
	if p.all || p.exact[name] {
		return true
	}
	for _, g := range p.globs {
		if fitsGlob(g, name) {
			return true
		}
	}
	return false
}

// fitsGlob finds the parts in the name one behind the other: taking each as early as it comes is always right.
func fitsGlob(parts []string, name string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	name = name[len(first) : len(name)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}
