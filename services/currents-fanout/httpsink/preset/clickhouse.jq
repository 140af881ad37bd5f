# A row of the table in HTTP.md. Columns that an event lacks are empty.
(.properties | if type == "object" then . else {} end) as $p
| {
    event_id: $id, event_type: $type, occurred_at: $occurred_at, received_at: $received_at,
    external_id: $external_id, braze_id: $braze_id,
    campaign_id: ($p.campaign_id // ""), canvas_id: ($p.canvas_id // ""), canvas_step_id: ($p.canvas_step_id // ""),
    message_variation_id: ($p.message_variation_id // $p.canvas_variation_id // ""),
    app_id: ($p.app_id // ""), dispatch_id: ($p.dispatch_id // ""),
    event: $json
  }
