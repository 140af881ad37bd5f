package yamlfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

var variable = regexp.MustCompile(`\$\$\{|\$\{[^}]*\}`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// scalar is the text of a node, with what the environment says in place of ${NAME}; shown is what may be told of it.
func (f *File) scalar(path string, node ast.Node) (text, shown string, ok bool) {
	if s, isText := node.(*ast.StringNode); isText {
		return f.substitute(path, s)
	}
	if text, ok = scalarText(node); !ok {
		f.wrong(path, node, nil, "expected a text or a number")
	}
	return text, text, ok
}

func (f *File) substitute(path string, node *ast.StringNode) (text, shown string, ok bool) {
	ok = true
	text = variable.ReplaceAllStringFunc(node.Value, func(word string) string {
		if word == "$${" { // a ${ that is meant
			return "${"
		}
		name := word[2 : len(word)-1]
		value, err := f.variable(name)
		if err != nil {
			f.wrong(path, node, nil, err.Error())
			ok = false
		}
		if len(value) > 3 { // replacing an "a" would only make a message unreadable
			f.secrets = append(f.secrets, value)
		}
		return value
	})
	return text, node.Value, ok
}

// variable is the value of NAME, or the contents of the file that NAME_FILE names.
func (f *File) variable(name string) (string, error) {
	if !variableName.MatchString(name) {
		return "", errors.New("${ begins the name of an environment variable; write $${ where none is meant")
	}
	value, given := f.lookup(name)
	file, inFile := f.lookup(name + "_FILE")
	given, inFile = given && value != "", inFile && file != ""
	switch {
	case given && inFile:
		return "", errors.New("both " + name + " and " + name + "_FILE are set; set one")
	case given:
		return value, nil
	case !inFile:
		return "", errors.New("set " + name + ", or name a file in " + name + "_FILE")
	}
	text, err := ReadFile(file)
	if err != nil { // without the name: people put the secret itself where its file's name belongs
		return "", fmt.Errorf("the file that %s_FILE names must be readable: %w", name, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// scrub takes what came out of the environment out of words that others have made.
func (f *File) scrub(words string) string {
	for _, s := range f.secrets {
		words = strings.ReplaceAll(words, s, "[from the environment]")
	}
	return words
}

// ReadFile reads a file of at most [Largest] bytes. The error does not name it.
func ReadFile(name string) ([]byte, error) {
	file, err := os.Open(filepath.Clean(name))
	if err != nil {
		return nil, reason(err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, Largest+1))
	if err != nil {
		return nil, reason(err)
	}
	if len(text) > Largest {
		return nil, fmt.Errorf("it is larger than %d bytes", Largest)
	}
	return text, nil
}

// reason is an error without the path it concerns.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
