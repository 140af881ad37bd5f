# What every program can use, beside jq's own functions and those of functions.go.

# compact leaves out what is null, at any depth, and what is then empty.
def compact:
  if type == "object" then with_entries(.value |= compact | select(.value != null and .value != {}))
  elif type == "array" then map(compact | select(. != null))
  else . end;

# text is a text that says something, or null.
def text: if type == "string" and . != "" then . else null end;

# clipped is a text of at most so many characters, without control characters; what is none stays as it is.
def clipped($length): if type == "string" then (if test("\\p{Cc}") then gsub("\\p{Cc}+"; " ") else . end) | .[:$length] else . end;

# as_email and as_phone are an address or a number (E.164) if it looks like one, else null: a bad
# second identifier must not spoil a good first one, nor what is no address a whole change to a profile,
# which attribute-sync takes or refuses as one.
def as_email:
  if type == "string" and utf8bytelength <= 255 and test("^[^@,;<>\"\\s\\p{Cc}]+@[^@,;<>\".\\s\\p{Cc}]+(\\.[^@,;<>\".\\s\\p{Cc}]+)+$") then . else null end;
def as_phone:
  if type == "string" and length <= 40 then gsub("[ ().-]"; "") | if test("^\\+[1-9][0-9]{6,14}$") then . else null end
  else null end;

# member_of is the first value that is not null of an object's members, or of what is none, null.
def member_of($name): if type == "object" then .[$name] else null end;

# Of bodies that are XML, elements {name, attributes, text, children}: those of a name, at any depth,
# and the text of the first of them.
def xml_all($name): .. | select(type == "object" and .name? == $name and has("children"));
def xml_text($name): first(xml_all($name) | .text) // null;

# salesforce_id is an id of Salesforce's in its long form: the short one, in which capitals count, says the same. What is
# none stays as it is.
def salesforce_id:
  if type == "string" and test("^[A-Za-z0-9]{15}$") then
    . as $short
    | $short + ([0, 5, 10] | map(. as $from
        | [range(5) | if $short[$from + .:$from + . + 1] | test("^[A-Z]$") then [1, 2, 4, 8, 16][.] else 0 end] | add
        | "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[.:. + 1]) | add)
  else . end;

# dead_letter ends a message for a reason: identity_unresolved, unmappable, unsupported_version,
# wrong_mode, privacy_request, gap.
def dead_letter($reason; $detail): {to: "dead_letter", reason: $reason, detail: $detail};
