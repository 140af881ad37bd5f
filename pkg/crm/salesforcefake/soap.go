package salesforcefake

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// What an outbound message is made of.
const (
	envelopeSpace = "http://schemas.xmlsoap.org/soap/envelope/"
	outboundSpace = "http://soap.sforce.com/2005/09/outbound"
)

// soap is a message of up to 100 notifications, with the records as they are now: what they were in between is lost. A
// record that is gone has no notification.
func (o *outlet) soap(batch []pending) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	b.WriteString(`<soapenv:Envelope xmlns:soapenv="` + envelopeSpace + `" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` + "\n")
	b.WriteString(` <soapenv:Body>` + "\n" + `  <notifications xmlns="` + outboundSpace + `">` + "\n")
	element := func(indent, name, text string) {
		fmt.Fprintf(&b, "%s<%s>", indent, name)
		_ = xml.EscapeText(&b, []byte(text))
		fmt.Fprintf(&b, "</%s>\n", name)
	}
	element("   ", "OrganizationId", organization)
	element("   ", "ActionId", "04k5e000000DemoAAK")
	b.WriteString(`   <SessionId xsi:nil="true"/>` + "\n")
	base := o.s.opts.URL
	if base == "" {
		base = "http://sandbox"
	}
	element("   ", "EnterpriseUrl", base+"/services/Soap/c/61.0/"+organization[:15])
	element("   ", "PartnerUrl", base+"/services/Soap/u/61.0/"+organization[:15])
	for _, p := range batch {
		r, ok := o.s.record(p.Object, p.ID)
		if !ok {
			continue
		}
		b.WriteString("   <Notification>\n")
		element("    ", "Id", p.id)
		fmt.Fprintf(&b, `    <sObject xsi:type="sf:%s" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">`+"\n", p.Object)
		element("     ", "sf:Id", r.ID)
		for _, field := range o.Fields {
			if text := o.told(&r, field); text != "" {
				element("     ", "sf:"+field, text)
			}
		}
		b.WriteString("    </sObject>\n   </Notification>\n")
	}
	b.WriteString("  </notifications>\n </soapenv:Body>\n</soapenv:Envelope>\n")
	return b.Bytes()
}

// told is a field as text; empty where it is.
func (o *outlet) told(r *Record, field string) string {
	const utc = "2006-01-02T15:04:05.000Z"
	switch field {
	case "CreatedDate":
		return r.Created.Format(utc)
	case "LastModifiedDate":
		return r.Modified.Format(utc)
	case "LastModifiedById":
		return r.By
	}
	text := r.Text(field)
	if f := o.s.table(o.Object).field(field); f != nil && f.Type == DateTime && text != "" {
		return strings.TrimSuffix(text, "+0000") + "Z"
	}
	return text
}

// acknowledged reports whether an answer is what an org takes for one: a 200, text/xml, and an envelope in which Ack is
// true. Anything else is not.
func acknowledged(resp *http.Response, body []byte) bool {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "text/xml" || resp.StatusCode != http.StatusOK {
		return false
	}
	var envelope struct {
		XMLName xml.Name `xml:"http://schemas.xmlsoap.org/soap/envelope/ Envelope"`
		Body    struct {
			Response struct {
				Ack string `xml:"http://soap.sforce.com/2005/09/outbound Ack"`
			} `xml:"http://soap.sforce.com/2005/09/outbound notificationsResponse"`
		} `xml:"http://schemas.xmlsoap.org/soap/envelope/ Body"`
	}
	return xml.Unmarshal(body, &envelope) == nil && strings.TrimSpace(envelope.Body.Response.Ack) == "true"
}
