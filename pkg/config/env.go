package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
)

// largestFile bounds the YAML file and every file that holds a value.
const largestFile = 1 << 20

// readEnvironment lays variables, and the files that NAME_FILE variables name, over the YAML file.
func (l *loader) readEnvironment(s *section, v reflect.Value) {
	s.each(func(f *field) {
		if f.env == "" {
			return
		}
		value, given := l.env[f.env]
		name, inFile := l.env[f.env+"_FILE"]
		inFile = inFile && f.file
		if !given && !inFile {
			return
		}
		delete(l.failed, f.path) // a value of its own, to be checked on its own
		switch {
		case given && inFile:
			l.origins[f.path] = "env " + f.env
			l.problem(f, f.path, nil, "both "+f.env+" and "+f.env+"_FILE are set; set one")
		case inFile:
			l.contents(f, v, f.path, "file named by "+f.env+"_FILE", name)
		default:
			l.origins[f.path] = "env " + f.env
			l.parsed(f, v, f.path, value)
		}
	})
}

// parsed sets the field from a text, or says why not.
func (l *loader) parsed(f *field, v reflect.Value, path, text string) {
	value, err := f.parse(text)
	if err != nil {
		l.problem(f, path, text, f.complaint(err))
		return
	}
	f.set(v, value)
}

// contents sets the field from the contents of a file, less the line break at its end.
func (l *loader) contents(f *field, v reflect.Value, path, origin, name string) {
	l.origins[path] = origin
	data, err := readBounded(name)
	text := strings.TrimRight(string(data), "\r\n")
	switch {
	case err != nil:
		// Not the name: people put the secret itself where its file's name belongs.
		l.problem(f, path, nil, "the file it names must be readable: "+reason(err))
	case text == "":
		l.problem(f, path, nil, "the file it names is empty")
	default:
		l.parsed(f, v, path, text)
	}
}

func readBounded(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, largestFile+1))
	if err == nil && len(data) > largestFile {
		err = fmt.Errorf("it is larger than %d bytes", largestFile)
	}
	return data, err
}

// reason is an error without the path it concerns.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
