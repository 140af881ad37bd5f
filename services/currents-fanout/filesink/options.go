package filesink

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/config"
)

// Values of the options.
const (
	formatParquet = "parquet"
	formatAvro    = "avro"

	compressZstd   = "zstd"
	compressSnappy = "snappy"
	compressNone   = "none"

	dateReceived = "received"
	dateOccurred = "occurred"
)

// Options is what stands under "files" in sinks.yaml.
type Options struct {
	URL           string        `yaml:"url" required:"true" doc:"bucket: file:///path, s3://bucket?region=eu-central-1, gs://bucket or azblob://container; credentials come from each cloud's usual environment"`
	Prefix        string        `yaml:"prefix" doc:"folder within the bucket, such as braze/engagements"`
	Format        string        `yaml:"format" default:"parquet" oneof:"parquet avro" doc:"format of the files"`
	Compression   string        `yaml:"compression" default:"zstd" oneof:"zstd snappy none" doc:"compression within the files"`
	Date          string        `yaml:"date" default:"received" oneof:"received occurred" doc:"which date the folder date= has: the one of receipt, so that a past day never changes, or the event's own"`
	MaxRows       int           `yaml:"max_rows" default:"1000000" min:"1" max:"100000000" doc:"most rows of a file; a stretch with more of one type and date makes several"`
	RowGroupRows  int           `yaml:"row_group_rows" default:"100000" min:"1" max:"10000000" doc:"rows of a row group of Parquet: what an engine reads at once, and what is held in memory until it is full"`
	Uploads       int           `yaml:"uploads" default:"4" min:"1" max:"64" doc:"files of one stretch that are written at the same time"`
	UploadTimeout time.Duration `yaml:"upload_timeout" default:"2m" min:"1s" max:"1h" doc:"longest time for one object"`
}

// schemes are the buckets that are known.
var schemes = map[string]bool{"file": true, "s3": true, "gs": true, "azblob": true}

// withDefaults fills in what is not set.
func (o Options) withDefaults() Options {
	or := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	or(&o.Format, formatParquet)
	or(&o.Compression, compressZstd)
	or(&o.Date, dateReceived)
	if o.MaxRows == 0 {
		o.MaxRows = 1_000_000
	}
	if o.RowGroupRows == 0 {
		o.RowGroupRows = 100_000
	}
	if o.Uploads == 0 {
		o.Uploads = 4
	}
	if o.UploadTimeout == 0 {
		o.UploadTimeout = 2 * time.Minute
	}
	return o
}

// Validate returns every [config.Problem] of the options, joined. What is not set has its default.
func (o *Options) Validate() error {
	var errs []error
	wrong := func(field string, value any, allowed string) {
		errs = append(errs, config.Problem{Field: field, Value: value, Allowed: allowed})
	}
	d := o.withDefaults()
	if err := checkURL(d.URL); err != nil {
		wrong("url", d.URL, err.Error())
	}
	if err := checkPrefix(d.Prefix); err != nil {
		wrong("prefix", d.Prefix, err.Error())
	}
	one := func(field, value string, of ...string) {
		for _, allowed := range of {
			if value == allowed {
				return
			}
		}
		wrong(field, value, strings.Join(of, ", "))
	}
	one("format", d.Format, formatParquet, formatAvro)
	one("compression", d.Compression, compressZstd, compressSnappy, compressNone)
	one("date", d.Date, dateReceived, dateOccurred)
	within := func(field string, value, least, most int) {
		if value < least || value > most {
			wrong(field, value, fmt.Sprintf("from %d to %d", least, most))
		}
	}
	within("max_rows", d.MaxRows, 1, 100_000_000)
	within("row_group_rows", d.RowGroupRows, 1, 10_000_000)
	within("uploads", d.Uploads, 1, 64)
	if d.UploadTimeout < time.Second || d.UploadTimeout > time.Hour {
		wrong("upload_timeout", d.UploadTimeout, "from 1s to 1h")
	}
	return errors.Join(errs...)
}

// checkURL says what is to be otherwise.
func checkURL(raw string) error {
	const form = "file:///path, s3://bucket?region=…, gs://bucket or azblob://container"
	u, err := url.Parse(raw)
	switch {
	case raw == "" || err != nil || !schemes[u.Scheme]:
		return errors.New(form)
	case u.User != nil:
		return errors.New("a URL without a user or password: credentials come from the environment")
	case u.Scheme == "file" && (u.Path == "" || u.Host != "" && u.Host != "localhost" && u.Host != "."):
		return errors.New("file:///path, with three slashes")
	case u.Scheme != "file" && u.Host == "":
		return errors.New(form)
	case u.Scheme != "file" && strings.Trim(u.Path, "/") != "":
		return errors.New("a URL without a path: the folder within the bucket is the option prefix")
	}
	return nil
}

// checkPrefix says what is to be otherwise. A segment with an equals sign would look like a partition,
// and a query with a glob would come upon a star.
func checkPrefix(prefix string) error {
	const longest = 300
	trimmed := strings.Trim(prefix, "/")
	if trimmed == "" {
		return nil
	}
	if len(trimmed) > longest || !utf8.ValidString(trimmed) {
		return fmt.Errorf("at most %d bytes of UTF-8", longest)
	}
	for segment := range strings.SplitSeq(trimmed, "/") {
		if segment == "" || strings.Trim(segment, ".") == "" {
			return errors.New("folders with names, apart by single slashes")
		}
	}
	if strings.ContainsAny(trimmed, `\*?[]{}=%"`) || strings.Contains(trimmed, "../") || strings.ContainsFunc(trimmed, unicode.IsControl) {
		return errors.New(`names without any of \*?[]{}=%" and control characters`)
	}
	return nil
}
