package braze

import "strconv"

// writer appends JSON piece by piece. Whether a comma is due it tells by the byte it wrote last, which is
// an opening bracket only where nothing has been written yet.
type writer struct {
	b    []byte
	from int // where the first value begins
}

// startWriter returns a writer that appends one value to dst.
func startWriter(dst []byte) writer { return writer{dst, len(dst)} }

func (w *writer) comma() {
	if n := len(w.b); n > w.from && w.b[n-1] != '{' && w.b[n-1] != '[' && w.b[n-1] != ':' {
		w.b = append(w.b, ',')
	}
}

// open begins an object or an array, whichever the bracket says; close ends it.
func (w *writer) open(bracket byte) {
	w.comma()
	w.b = append(w.b, bracket)
}

func (w *writer) close(bracket byte) { w.b = append(w.b, bracket) }

// name begins a member.
func (w *writer) name(name string) {
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, `":`...)
}

// value appends a string as an element.
func (w *writer) value(s string) {
	w.comma()
	w.b = AppendString(w.b, s)
}

// rawValue appends JSON as an element.
func (w *writer) rawValue(json []byte) {
	w.comma()
	w.b = append(w.b, json...)
}

// text appends a member that is a string, unless it is empty.
func (w *writer) text(name, s string) {
	if s != "" {
		w.name(name)
		w.b = AppendString(w.b, s)
	}
}

// texts appends a member that is a list of strings, unless there are none.
func (w *writer) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	w.name(name)
	w.open('[')
	for _, s := range list {
		w.value(s)
	}
	w.close(']')
}

// raw appends a member that is JSON already, unless it is empty.
func (w *writer) raw(name string, json []byte) {
	if len(json) > 0 {
		w.name(name)
		w.b = append(w.b, json...)
	}
}

// flag appends a member that is true, unless it is false.
func (w *writer) flag(name string, set bool) {
	if set {
		w.boolean(name, true)
	}
}

func (w *writer) boolean(name string, set bool) {
	w.name(name)
	w.b = strconv.AppendBool(w.b, set)
}
