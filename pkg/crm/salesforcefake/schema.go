package salesforcefake

import (
	"fmt"
	"strings"
)

// Type is what a field holds.
type Type string

// The types.
const (
	Text      Type = "text"
	Email     Type = "email"
	Number    Type = "number"
	Checkbox  Type = "checkbox"
	DateTime  Type = "datetime"
	Date      Type = "date"
	Reference Type = "reference"
)

// Field is a field of an object.
type Field struct {
	Name       string
	Type       Type
	Length     int      // of text, in characters; 255 when 0
	Required   bool     // a record cannot be without it
	ExternalID bool     // and unique
	Refers     []string // objects that a reference may point to
}

// Object is a kind of record. Every object has Id, CreatedDate, LastModifiedDate and LastModifiedById besides its fields.
type Object struct {
	Name   string
	Prefix string // first three characters of its ids; made up when empty
	Fields []Field
}

// DefaultObjects are those of a small org that has been prepared for us.
func DefaultObjects() []Object {
	return []Object{
		{Name: "Contact", Prefix: "003", Fields: []Field{
			{Name: "Braze_External_Id__c", Type: Text, ExternalID: true},
			{Name: "Member_Number__c", Type: Number, ExternalID: true},
			{Name: "FirstName", Type: Text, Length: 40},
			{Name: "LastName", Type: Text, Length: 80, Required: true},
			{Name: "Email", Type: Email, Length: 80},
			{Name: "Phone", Type: Text, Length: 40},
			{Name: "Title", Type: Text, Length: 128},
			{Name: "Description", Type: Text, Length: 32000},
			{Name: "MailingCity", Type: Text, Length: 40},
			{Name: "HasOptedOutOfEmail", Type: Checkbox},
			{Name: "Newsletter__c", Type: Checkbox},
			{Name: "Loyalty_Tier__c", Type: Text, Length: 20},
			{Name: "Billing_Status__c", Type: Text, Length: 40},
			{Name: "Last_Score__c", Type: Number},
			{Name: "Last_Braze_Click__c", Type: DateTime},
			{Name: "Birthdate", Type: Date},
			{Name: "AccountId", Type: Reference, Refers: []string{"Account"}},
		}},
		{Name: "Lead", Prefix: "00Q", Fields: []Field{
			{Name: "Braze_External_Id__c", Type: Text, ExternalID: true},
			{Name: "FirstName", Type: Text, Length: 40},
			{Name: "LastName", Type: Text, Length: 80, Required: true},
			{Name: "Company", Type: Text, Required: true},
			{Name: "Email", Type: Email, Length: 80},
			{Name: "Status", Type: Text, Length: 40},
			{Name: "HasOptedOutOfEmail", Type: Checkbox},
		}},
		{Name: "Account", Prefix: "001", Fields: []Field{
			{Name: "Account_Number__c", Type: Text, ExternalID: true},
			{Name: "Name", Type: Text, Required: true},
			{Name: "Phone", Type: Text, Length: 40},
		}},
		{Name: "Task", Prefix: "00T", Fields: []Field{
			{Name: "Sluice_Write_Id__c", Type: Text, ExternalID: true},
			{Name: "Source_Id__c", Type: Text},
			{Name: "Subject", Type: Text},
			{Name: "Description", Type: Text, Length: 32000},
			{Name: "Status", Type: Text, Length: 40},
			{Name: "Priority", Type: Text, Length: 40},
			{Name: "ActivityDate", Type: Date},
			{Name: "WhoId", Type: Reference, Refers: []string{"Contact", "Lead"}},
		}},
	}
}

// define makes the tables of objects.
func (s *Sandbox) define(objects []Object) error {
	for i, o := range objects {
		if o.Name == "" {
			return fmt.Errorf("defining object %d: it has no name", i)
		}
		low := strings.ToLower(o.Name)
		if s.objects[low] != nil {
			return fmt.Errorf("defining object %s: it is there twice", o.Name)
		}
		if o.Prefix == "" {
			o.Prefix = fmt.Sprintf("a%02d", i)
		}
		if len(o.Prefix) != 3 {
			return fmt.Errorf("defining object %s: its prefix has not three characters", o.Name)
		}
		t := &table{Object: o, fields: map[string]*Field{}, records: map[string]*Record{}, keys: map[string]map[string]string{}}
		for k := range o.Fields {
			f := &t.Fields[k]
			if f.Length == 0 {
				f.Length = 255
			}
			t.fields[strings.ToLower(f.Name)] = f
			if f.ExternalID {
				t.keys[f.Name] = map[string]string{}
			}
		}
		s.objects[low] = t
		s.order = append(s.order, o.Name)
	}
	return nil
}

func (s *Sandbox) table(object string) *table { return s.objects[strings.ToLower(object)] }

// table is an object with its records.
type table struct {
	Object
	fields  map[string]*Field            // by name in small letters
	records map[string]*Record           // by id of 18 characters
	keys    map[string]map[string]string // external id field, value in small letters, id
	order   []string                     // ids in the order in which they were made
}

func (t *table) field(name string) *Field { return t.fields[strings.ToLower(name)] }
