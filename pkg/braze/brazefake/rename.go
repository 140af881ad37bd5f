package brazefake

import (
	"net/http"
	"strconv"
	"strings"
)

// planRename plans /users/external_ids/rename, whose answer refuses renames singly. It is done before the
// answer is written, which says how each went (braze-docs: post_external_ids_rename).
func (s *Sandbox) planRename(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "external_id_renames")
	elements := f.list("external_id_renames")
	if len(elements) == 0 {
		f.fail("'external_id_renames' is required")
	}
	f.most("external_id_renames", len(elements), c.endpoint.MaxItems)
	p := plan{items: len(elements), status: c.knobs.PlainStatus, now: true}
	var renames [][2]string
	for i, element := range elements {
		ef := s.read(c, indexed("external_id_renames", i), element, "current_external_id", "new_external_id")
		pair := [2]string{ef.needed("current_external_id"), ef.needed("new_external_id")}
		for _, id := range pair {
			to := identity{}
			to.read("external_id", []byte(quoted(id)))
			ef.problem = firstOf(ef.problem, to.refusal)
		}
		f.problem = firstOf(f.problem, ef.problem)
		renames = append(renames, pair)
		p.users = append(p.users, pair[0], pair[1])
	}
	var done, failed []string
	p.apply = s.alone(func() {
		for i, pair := range renames {
			problem := s.people.rename(pair[0], pair[1])
			s.changes.add(c, ChangeRename, pair[0], pair[1], firstOf(problem, "renamed"))
			switch {
			case problem == "":
				done = append(done, quoted(pair[1]))
			case c.knobs.RenameErrorTexts:
				failed = append(failed, quoted("index "+strconv.Itoa(i)+": "+problem))
			default:
				failed = append(failed, `{"index":`+strconv.Itoa(i)+`,"error":`+quoted(problem)+`}`)
			}
		}
	})
	p.answer = func() []byte {
		c.refused = len(failed)
		return success("external_ids", "["+strings.Join(done, ",")+"]", "rename_errors", "["+strings.Join(failed, ",")+"]")
	}
	return p, f.bad()
}
