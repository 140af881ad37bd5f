package currentsfanout

import "github.com/sluicehq/sluice/pkg/event"

// key is what becomes of the key of a customer's events: it is one of the ids. A hash keeps them together; of an id
// that is removed or masked nothing may be left that one could guess it by, so the key is empty.
func (r *redactor) key(u *event.User, key string) string {
	field := identity(u)
	how := r.how[field]
	if label := r.how["alias_label"]; field == "alias_name" && (label == Remove || label == Mask || how == "") { // it stands in the key too
		how = label
	}
	switch how {
	case Remove, Mask:
		return ""
	case Hash:
		return hashed([]byte(key))
	}
	return key
}

// identity is the column that the key is made of; empty for a record that names nobody.
func identity(u *event.User) string {
	switch {
	case u.ExternalID != "":
		return "external_id"
	case u.BrazeID != "":
		return "braze_id"
	case u.AliasName != "":
		return "alias_name"
	case u.Email != "":
		return "email"
	case u.Phone != "":
		return "phone"
	}
	return ""
}

func (r *redactor) user(u *event.User) {
	u.ExternalID = r.text("external_id", u.ExternalID)
	u.BrazeID = r.text("braze_id", u.BrazeID)
	u.AliasLabel = r.text("alias_label", u.AliasLabel)
	u.AliasName = r.text("alias_name", u.AliasName)
	u.Email = r.text("email", u.Email)
	u.Phone = r.text("phone", u.Phone)
}

func (r *redactor) engagement(e *event.Engagement) {
	r.user(&e.User)
	for field := range r.how {
		if value := column(e, field); value != nil {
			*value = r.text(field, *value)
		}
	}
}

// column is the text of an event that a field's name means beside the document; nil for none.
func column(e *event.Engagement, field string) *string {
	switch field {
	case "channel":
		return &e.Channel
	case "workspace":
		return &e.Workspace
	case "app_id":
		return &e.AppID
	case "campaign_id":
		return &e.CampaignID
	case "campaign_name":
		return &e.CampaignName
	case "message_variation_id":
		return &e.MessageVariationID
	case "canvas_id":
		return &e.CanvasID
	case "canvas_name":
		return &e.CanvasName
	case "canvas_variation_id":
		return &e.CanvasVariationID
	case "canvas_step_id":
		return &e.CanvasStepID
	case "canvas_step_message_variation_id":
		return &e.CanvasStepMessageVariationID
	case "send_id":
		return &e.SendID
	case "dispatch_id":
		return &e.DispatchID
	case "device_id":
		return &e.DeviceID
	}
	return nil
}
