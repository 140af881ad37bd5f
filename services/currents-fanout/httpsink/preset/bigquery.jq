# A row of the table in HTTP.md. BigQuery takes ids of up to 128 bytes for its own search for doubles.
(.properties | if type == "object" then . else {} end) as $p
| (if ($id | utf8bytelength) <= 128 then {insertId: $id} else {} end)
  + {
      json: ({
        event_id: $id, event_type: $type, occurred_at: $occurred_at, received_at: $received_at,
        external_id: $external_id, braze_id: $braze_id,
        campaign_id: $p.campaign_id, canvas_id: $p.canvas_id, canvas_step_id: $p.canvas_step_id,
        message_variation_id: ($p.message_variation_id // $p.canvas_variation_id),
        app_id: $p.app_id, dispatch_id: $p.dispatch_id,
        event: $json
      } | with_entries(select(.value != null and .value != "")))
    }
