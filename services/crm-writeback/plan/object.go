package plan

// object finds the object that a key names, or begins one. One of which only the id is known is the same, if
// there is no other that it could be.
func (s *state) object(target, kind, keyField, key string) *object {
	var unnamed *object
	several := false
	for i := range s.objects {
		o := &s.objects[i]
		if o.target != target || o.object != kind {
			continue
		}
		switch o.key {
		case key:
			return o
		case "":
			several = unnamed != nil
			unnamed = o
		}
	}
	if unnamed == nil || several {
		s.makeRoom()
		unnamed = s.add()
		unnamed.target, unnamed.object = target, kind
	}
	unnamed.keyField, unnamed.key = keyField, key
	return unnamed
}

// objectOf finds the object that the system's own id names, else its key, else the only one whose id is not known yet;
// or begins one.
func (s *state) objectOf(target, kind, id, keyField, key string) *object {
	var named, alone *object
	candidates := 0
	for i := range s.objects {
		o := &s.objects[i]
		switch {
		case o.target != target || o.object != kind:
		case id != "" && o.id == id:
			return o
		case key != "" && o.key == key:
			named = o
		case o.id == "" && (key == "" || o.key == ""):
			alone = o
			candidates++
		}
	}
	switch {
	case named != nil:
		return named
	case candidates == 1:
		return alone
	}
	s.makeRoom()
	o := s.add()
	o.target, o.object, o.keyField, o.key = target, kind, keyField, key
	return o
}

// byID finds the object that a system says is gone: by its id, or the only one of its kind whose id nobody has told; nil for
// none.
func (s *state) byID(target, kind, id string) (alone *object) {
	candidates := 0
	for i := range s.objects {
		o := &s.objects[i]
		switch {
		case o.target != target || o.object != kind:
		case o.id == id:
			return o
		case o.id == "":
			alone = o
			candidates++
		}
	}
	if candidates != 1 {
		return nil
	}
	return alone
}

// makeRoom lets go of the object that was known first, where there are too many.
func (s *state) makeRoom() {
	if len(s.objects) >= maxObjects {
		s.dropObject(0)
	}
}

// dropObject keeps the memory of the dropped one for the next.
func (s *state) dropObject(i int) {
	dropped := s.objects[i]
	copy(s.objects[i:], s.objects[i+1:])
	s.objects[len(s.objects)-1] = dropped
	s.objects = s.objects[:len(s.objects)-1]
}

// field finds a field, or begins one; nil when there are too many.
func (o *object) field(name string) *field {
	for i := range o.fields {
		if o.fields[i].name == name {
			return &o.fields[i]
		}
	}
	if len(o.fields) >= maxFields {
		return nil
	}
	f := o.add()
	f.name = name
	return f
}

// gone notes that the object was deleted: whatever is said next is written to one that is new. The echoes of what is on
// its way may still come.
func (o *object) gone() {
	o.id = ""
	for i := range o.fields {
		f := &o.fields[i]
		f.win, f.toCRM = value{}, sent{}
		f.number, f.counts = 0, false // one that is made anew begins to count anew
	}
}
