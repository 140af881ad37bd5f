package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/sluicehq/sluice/pkg/retry"
)

// pauses are the waits between attempts.
var pauses = retry.Schedule{Base: 100 * time.Millisecond, Cap: 2 * time.Second}

// Registered is a schema under a subject.
type Registered struct {
	Subject string
	Version int // counts from 1 within the subject
	ID      int // stands in records, before the Avro bytes
	Schema  string
}

// Ping asks the registry for something small.
func (c *Client) Ping(ctx context.Context) error {
	_, err := call(ctx, func(ctx context.Context) (any, error) {
		return nil, c.sr.Do(ctx, http.MethodGet, "/schemas/types", nil, nil)
	})
	if err != nil {
		return fmt.Errorf("reaching the schema registry: %w", err)
	}
	return nil
}

// Register makes schema the next version of subject unless it is a version already, and gives its id.
// [ErrIncompatible] says that the subject's level forbids it, [ErrInvalid] that it is no schema.
func (c *Client) Register(ctx context.Context, subject, schema string) (id int, err error) {
	if err := checkSubject(subject); err != nil {
		return 0, err
	}
	// Registering again what is registered gives the same id and adds nothing, so even this may be
	// repeated when an answer is lost.
	id, err = call(ctx, func(ctx context.Context) (int, error) {
		return c.sr.RegisterSchema(ctx, subject, sr.Schema{Schema: schema}, -1, -1)
	})
	if err != nil {
		return 0, fmt.Errorf("registering a schema under %s: %w", subject, err)
	}
	return id, nil
}

// Lookup finds the id and version of schema under subject; [ErrNotFound] where it is none of its
// versions.
func (c *Client) Lookup(ctx context.Context, subject, schema string) (id, version int, err error) {
	if err := checkSubject(subject); err != nil {
		return 0, 0, err
	}
	found, err := call(ctx, func(ctx context.Context) (sr.SubjectSchema, error) {
		return c.sr.LookupSchema(ctx, subject, sr.Schema{Schema: schema})
	})
	if err != nil {
		return 0, 0, fmt.Errorf("looking up a schema under %s: %w", subject, err)
	}
	return found.ID, found.Version, nil
}

// Latest is the newest version of subject.
func (c *Client) Latest(ctx context.Context, subject string) (Registered, error) {
	if err := checkSubject(subject); err != nil {
		return Registered{}, err
	}
	found, err := call(ctx, func(ctx context.Context) (sr.SubjectSchema, error) {
		return c.sr.SchemaByVersion(ctx, subject, -1)
	})
	if err != nil {
		return Registered{}, fmt.Errorf("reading the latest version of %s: %w", subject, err)
	}
	return Registered{Subject: subject, Version: found.Version, ID: found.ID, Schema: found.Schema.Schema}, nil
}

// Versions are the version numbers of subject, oldest first.
func (c *Client) Versions(ctx context.Context, subject string) ([]int, error) {
	if err := checkSubject(subject); err != nil {
		return nil, err
	}
	versions, err := call(ctx, func(ctx context.Context) ([]int, error) { return c.sr.SubjectVersions(ctx, subject) })
	if err != nil {
		return nil, fmt.Errorf("listing versions of %s: %w", subject, err)
	}
	return versions, nil
}

// Check asks whether [Client.Register] would take schema as the next version of subject, and why not.
// A subject that does not exist takes anything. Some registries say no without reasons.
func (c *Client) Check(ctx context.Context, subject, schema string) (compatible bool, reasons []string, err error) {
	if err := checkSubject(subject); err != nil {
		return false, nil, err
	}
	const all = -2 // all versions that the level names
	result, err := call(ctx, func(ctx context.Context) (sr.CheckCompatibilityResult, error) {
		return c.sr.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), subject, all, sr.Schema{Schema: schema})
	})
	if errors.Is(err, ErrNotFound) {
		return true, nil, nil
	}
	if err != nil {
		return false, nil, fmt.Errorf("checking a schema against %s: %w", subject, err)
	}
	if result.Is {
		return true, nil, nil
	}
	return false, result.Messages, nil
}

// Level is the compatibility level of subject, its own or the registry's. It is empty where the
// registry answers without naming one, as Apicurio 3.2 does.
func (c *Client) Level(ctx context.Context, subject string) (Level, error) {
	if err := checkSubject(subject); err != nil {
		return "", err
	}
	type answer struct {
		Level Level `json:"compatibilityLevel"`
		Alt   Level `json:"compatibility"`
	}
	got, err := call(ctx, func(ctx context.Context) (a answer, err error) {
		return a, c.sr.Do(sr.WithParams(ctx, sr.DefaultToGlobal), http.MethodGet, "/config/"+url.PathEscape(subject), nil, &a)
	})
	if err != nil {
		return "", fmt.Errorf("reading the compatibility level of %s: %w", subject, err)
	}
	if got.Level == "" {
		return got.Alt, nil
	}
	return got.Level, nil
}

// SetLevel gives subject a compatibility level of its own.
func (c *Client) SetLevel(ctx context.Context, subject string, level Level) error {
	if err := checkSubject(subject); err != nil {
		return err
	}
	body := struct {
		Level Level `json:"compatibility"`
	}{level}
	// The answer is not read: registries differ in what they call the level there.
	_, err := call(ctx, func(ctx context.Context) (any, error) {
		return nil, c.sr.Do(ctx, http.MethodPut, "/config/"+url.PathEscape(subject), body, nil)
	})
	if err != nil {
		return fmt.Errorf("setting the compatibility level of %s to %s: %w", subject, level, err)
	}
	return nil
}

// call makes a call that may be repeated: every one in this file changes nothing by being made twice.
func call[T any](ctx context.Context, do func(context.Context) (T, error)) (T, error) {
	for attempt := 0; ; attempt++ {
		got, err := do(ctx)
		if err == nil || attempt == attempts-1 || ctx.Err() != nil || !passing(err) {
			return got, explained(err)
		}
		pause := time.NewTimer(pauses.Next(attempt, 0))
		select {
		case <-ctx.Done():
			pause.Stop()
			return got, errors.Join(ctx.Err(), explained(err))
		case <-pause.C:
		}
	}
}

// checkSubject refuses names that would ask for something else: they become part of a path.
func checkSubject(subject string) error {
	if subject == "" || subject == "." || subject == ".." || strings.ContainsFunc(subject, unicode.IsControl) {
		return fmt.Errorf("subject %q: %w", subject, ErrInvalid)
	}
	return nil
}
