# A track call. Segment throws events away that name nobody, and says nothing of it: here they are refused.
# What came from Braze must not go to Braze again from there.
if $external_id == "" and $braze_id == "" then error("the event names no user") else . end
| (if $external_id != "" then {userId: $external_id} else {anonymousId: $braze_id} end)
  + {
      type: "track", event: $type, timestamp: $occurred_at,
      properties: first((.properties, .payload, .) | select(type == "object")),
      context: {library: {name: "sluice", version: "1"}},
      integrations: {All: true, Braze: false, Appboy: false}
    }
  + (if ($id | length) < 100 then {messageId: $id} else {} end)
