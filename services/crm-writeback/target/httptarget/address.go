package httptarget

import (
	"context"
	"errors"
	"net/url"
	"strings"
)

// What a path may not be. Whose data makes it decides nothing about where it leads.
var (
	errNotPath  = errors.New("it yields no path that begins with a slash")
	errLeaves   = errors.New("its path would lead out of the URL: a step of it is . or .., or there is none between two slashes")
	errFragment = errors.New("its path has a # in it; @uri escapes one")
	errUnsafe   = errors.New("its path has characters in it that @uri escapes")
)

// addressOf is the URL of a call.
func (s *settings) addressOf(ctx context.Context, input any) (*url.URL, error) {
	if s.path == nil {
		return s.base, nil
	}
	rest, err := text(s.path.run(ctx, input))
	if err != nil {
		return nil, err
	}
	return below(s.base, rest)
}

// below puts a path, and a query that it may have, behind a URL. Whatever the path is, host and scheme stay, and what
// the URL's own path begins with.
func below(base *url.URL, rest string) (*url.URL, error) {
	path, query, _ := strings.Cut(rest, "?")
	switch {
	case !strings.HasPrefix(path, "/"):
		return nil, errNotPath
	case strings.Contains(rest, "#"):
		return nil, errFragment
	case strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }):
		return nil, errUnsafe
	}
	steps := strings.Split(path[1:], "/")
	for i, step := range steps {
		plain, err := url.PathUnescape(step)
		if err != nil {
			return nil, errUnsafe
		}
		if plain == "" && i < len(steps)-1 {
			return nil, errLeaves
		}
		// Some servers decode before they split.
		for part := range strings.FieldsFuncSeq(plain, func(r rune) bool { return r == '/' || r == '\\' }) {
			part, _, _ = strings.Cut(part, ";") // some take what follows for a parameter
			if part == "." || part == ".." {
				return nil, errLeaves
			}
		}
	}
	if _, err := url.ParseQuery(query); err != nil {
		return nil, errUnsafe
	}
	u := *base
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, errUnsafe
	}
	u.Path, u.RawPath = base.Path+plain, base.EscapedPath()+path
	switch {
	case query != "" && base.RawQuery != "":
		u.RawQuery = base.RawQuery + "&" + query
	case query != "":
		u.RawQuery = query
	}
	return &u, nil
}
