# An event of the capture API. PostHog knows a double by its uuid, which has to be one.
(if $external_id != "" then $external_id elif $braze_id != "" then $braze_id else $id end) as $who
| {
    event: $type, distinct_id: $who, timestamp: $occurred_at,
    properties: (first((.properties, .payload, .) | select(type == "object"))
      + {distinct_id: $who, "$lib": "sluice", "$insert_id": $id})
  }
  + (if $id | test("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$") then {uuid: $id} else {} end)
