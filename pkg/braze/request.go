package braze

// Request builds the body of one /users/track call and is meant to be used again and again: after
// [Request.Reset] it appends into the memory it already has. The zero Request is ready. It is not safe
// for concurrent use.
//
// Objects are JSON objects that the caller encodes itself. They are not looked into.
type Request struct {
	bufs  [arrays][]byte // objects, each followed by a comma
	ends  [arrays][]int  // where each object ends in its buffer, before the comma
	order []Array        // of every object, as appended
}

// Reset empties the request and keeps its memory.
func (r *Request) Reset() {
	for a := range r.bufs {
		r.bufs[a], r.ends[a] = r.bufs[a][:0], r.ends[a][:0]
	}
	r.order = r.order[:0]
}

// Grow makes room for n more bytes in an array.
func (r *Request) Grow(a Array, n int) {
	if free := cap(r.bufs[a]) - len(r.bufs[a]); free < n {
		r.bufs[a] = append(make([]byte, 0, len(r.bufs[a])+n), r.bufs[a]...)
	}
}

// Append adds one object to an array. The object is copied.
func (r *Request) Append(a Array, object []byte) {
	r.bufs[a] = append(r.bufs[a], object...)
	r.sealed(a)
}

// AppendFunc lets encode append one object to the array's own buffer, and returns the object's size in
// bytes. Encode is given a slice to append to and returns the result, as in the standard library's
// Append functions; when it returns the slice as it was, nothing is added and the size is 0.
func (r *Request) AppendFunc(a Array, encode func(dst []byte) []byte) (size int) {
	start := len(r.bufs[a])
	r.bufs[a] = encode(r.bufs[a])
	if size = len(r.bufs[a]) - start; size <= 0 {
		r.bufs[a] = r.bufs[a][:start]
		return 0
	}
	r.sealed(a)
	return size
}

// sealed notes that an object has been written to the end of a's buffer.
func (r *Request) sealed(a Array) {
	r.ends[a] = append(r.ends[a], len(r.bufs[a]))
	r.bufs[a] = append(r.bufs[a], ',')
	r.order = append(r.order, a)
}

// Undo removes the object that was appended last; called again, the one before it. It reports whether
// there was one.
func (r *Request) Undo() bool {
	if len(r.order) == 0 {
		return false
	}
	last := len(r.order) - 1
	a := r.order[last]
	r.order = r.order[:last]
	i := len(r.ends[a]) - 1
	r.bufs[a] = r.bufs[a][:r.start(a, i)]
	r.ends[a] = r.ends[a][:i]
	return true
}

// Len is the number of objects over all arrays.
func (r *Request) Len() int { return len(r.order) }

// LenOf is the number of objects in one array.
func (r *Request) LenOf(a Array) int { return len(r.ends[a]) }

// Counts is the number of objects in each array, as [Client.Track] wants it.
func (r *Request) Counts() [3]int {
	return [3]int{len(r.ends[Attributes]), len(r.ends[Events]), len(r.ends[Purchases])}
}

// Object returns one object as it was appended, for building another request of part of this one. The
// bytes are the request's own: valid until it is changed, and not to be written to.
func (r *Request) Object(a Array, i int) []byte {
	start, end := r.start(a, i), r.ends[a][i]
	return r.bufs[a][start:end:end]
}

func (r *Request) start(a Array, i int) int {
	if i == 0 {
		return 0
	}
	return r.ends[a][i-1] + len(",")
}

// Size is the size in bytes of the body as it stands, to be compared with [MaxBody]. A further object
// adds its own size and at most [Overhead].
func (r *Request) Size() int {
	size := len("{}")
	filled := 0
	for a, buf := range r.bufs {
		if len(buf) > 0 {
			size += len(`"":[]`) + len(arrayNames[a]) + len(buf) - len(",")
			filled++
		}
	}
	return size + max(filled-1, 0)*len(",")
}

// Overhead is the most that an object adds to a body beyond itself: a comma, or the frame of an array
// it is the first of.
const Overhead = len(`,"attributes":[]`)

// AppendBody appends the whole body to dst. Arrays without objects are left out.
func (r *Request) AppendBody(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	for a, buf := range r.bufs {
		if len(buf) == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(dst, arrayNames[a]...)
		dst = append(dst, `":[`...)
		dst = append(dst, buf[:len(buf)-len(",")]...)
		dst = append(dst, ']')
	}
	return append(dst, '}')
}
