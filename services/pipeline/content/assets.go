package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fetcher asks whether assets are there, without fetching them.
type Fetcher struct {
	Client      *http.Client
	Concurrency int           // requests at the same time
	Timeout     time.Duration // for one asset, redirects included
	// Limits are how many bytes a kind may have, by the first half of its media type, such as image.
	Limits map[string]int64
	// Progress is told of what is done; nil for nobody.
	Progress func(done, of int)
}

// Assets is what was looked at.
type Assets struct {
	Checked int `json:"checked"` // different URLs
	Wrong   int `json:"wrong"`
}

// wantedAsset is one that an item shows.
type wantedAsset struct{ collection, id, locale, url, mediaType string }

// seen is what a URL answers.
type seen struct {
	err       error
	mediaType string
	bytes     int64 // -1 where nobody says
}

// all asks for every URL once, and judges it for every item that shows it.
func (f *Fetcher) all(ctx context.Context, wanted []wantedAsset) (Assets, []Problem, error) {
	var urls []string
	answers := map[string]seen{}
	for _, a := range wanted {
		if _, there := answers[a.url]; !there {
			answers[a.url] = seen{}
			urls = append(urls, a.url)
		}
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	next := make(chan string)
	done := 0
	for range max(1, min(f.Concurrency, len(urls))) {
		asking.Go(func() {
			for u := range next {
				got := f.look(ctx, u)
				mu.Lock()
				answers[u] = got
				if done++; f.Progress != nil {
					f.Progress(done, len(urls))
				}
				mu.Unlock()
			}
		})
	}
	for _, u := range urls {
		select {
		case next <- u:
		case <-ctx.Done():
		}
	}
	close(next)
	asking.Wait()
	if ctx.Err() != nil {
		return Assets{}, nil, context.Cause(ctx)
	}
	var problems []Problem
	wrong := map[string]bool{}
	for _, a := range wanted {
		p := Problem{Collection: a.collection, ID: a.id, Locale: a.locale, URL: a.url, Grave: true}
		if p.What, p.Detail = f.judge(a, answers[a.url]); p.What != "" {
			problems = append(problems, p)
			wrong[a.url] = true
		}
	}
	return Assets{Checked: len(urls), Wrong: len(wrong)}, problems, nil
}

// judge says what is wrong with an asset; nothing where it is as it ought to be.
func (f *Fetcher) judge(a wantedAsset, got seen) (what, detail string) {
	if got.err != nil {
		return Unreachable, got.err.Error()
	}
	if a.mediaType != "" && got.mediaType != "" && mediaType(a.mediaType) != got.mediaType {
		return WrongType, fmt.Sprintf("it is %s, and the item says %s", got.mediaType, a.mediaType)
	}
	kind, _, _ := strings.Cut(got.mediaType, "/")
	if got.mediaType == "" {
		kind, _, _ = strings.Cut(mediaType(a.mediaType), "/")
	}
	if limit := f.Limits[kind]; limit > 0 && got.bytes > limit {
		return TooHeavy, fmt.Sprintf("it has %d bytes, and %s may have %d", got.bytes, kind, limit)
	}
	return "", ""
}

// mediaType is a media type without parameters, by the name that is registered for it.
func mediaType(text string) string {
	kind, _, err := mime.ParseMediaType(text)
	if err != nil {
		return strings.ToLower(strings.TrimSpace(text))
	}
	if kind == "image/jpg" {
		return "image/jpeg"
	}
	return kind
}

// look asks for a URL by HEAD, and where that says too little, for its first byte: many servers and signed
// URLs answer nothing but GET.
func (f *Fetcher) look(ctx context.Context, address string) seen {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return seen{err: errors.New("it is no http or https URL")}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.Timeout, fmt.Errorf("no answer within %s", f.Timeout))
	defer cancel()
	got := f.ask(ctx, http.MethodHead, address)
	if got.err == nil && got.mediaType != "" && got.bytes >= 0 {
		return got
	}
	if ctx.Err() != nil {
		return seen{err: context.Cause(ctx)}
	}
	if got = f.ask(ctx, http.MethodGet, address); got.err != nil && ctx.Err() != nil {
		got.err = context.Cause(ctx)
	}
	return got
}

// ask sends one request and reads nothing of what comes beyond its head.
func (f *Fetcher) ask(ctx context.Context, method, address string) seen {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return seen{err: err}
	}
	req.Header.Set("User-Agent", "sluice-content-check")
	req.Header.Set("Accept", "*/*")
	req.Header.Set("Accept-Encoding", "identity") // lengths are those of the asset
	if method == http.MethodGet {
		req.Header.Set("Range", "bytes=0-0")
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the URL stands beside it
		}
		return seen{err: err}
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, resp.Body, 512) // one byte, of most
		_ = resp.Body.Close()
	}()
	if !slices.Contains([]int{http.StatusOK, http.StatusPartialContent}, resp.StatusCode) {
		return seen{err: fmt.Errorf("it answers %s", resp.Status)}
	}
	got := seen{bytes: resp.ContentLength}
	if text := resp.Header.Get("Content-Type"); text != "" {
		got.mediaType = mediaType(text)
	}
	if resp.StatusCode == http.StatusPartialContent {
		got.bytes = total(resp.Header.Get("Content-Range"))
	}
	return got
}

// total is what "bytes 0-0/1234" says of the whole; -1 where it says nothing.
func total(contentRange string) int64 {
	_, text, ok := strings.Cut(contentRange, "/")
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return -1
	}
	return n
}
