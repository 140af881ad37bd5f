# ClickHouse explains itself in a text: "Code: 27. DB::Exception: …". Codes about values in the rows are the
# rows' fault. A field that the table lacks is the table's, and nothing will fit until somebody adds it.
if type != "string" then empty
else
  (capture("^Code: (?<code>[0-9]+)\\.") | .code | tonumber) as $code
  | if $code == 117 and test("Unknown field") then {halt: true, reason: "unknown_field", detail: .}
    elif [6, 25, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131, 349, 376, 441, 467, 469, 675, 676] | index($code)
    then {retry: false, reason: "code \($code)", detail: .}
    else empty end
end
