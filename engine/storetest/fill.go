package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// source gives values of the types that records are made of.
type source interface {
	text(field string) string
	number(field string) int64
	fraction(field string) float64
	flag(field string) bool
	instant(field string) time.Time
	data(field string) json.RawMessage
}

// fill sets every field of a record, so that a field which a store forgets is noticed.
func fill(record any, from source) {
	v := reflect.ValueOf(record).Elem()
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Name()+"."+v.Type().Field(i).Name
		switch f.Interface().(type) {
		case time.Time:
			f.Set(reflect.ValueOf(from.instant(name)))
			continue
		case json.RawMessage:
			f.Set(reflect.ValueOf(from.data(name)))
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString(from.text(name))
		case reflect.Int, reflect.Int64:
			f.SetInt(from.number(name))
		case reflect.Float64:
			f.SetFloat(from.fraction(name))
		case reflect.Bool:
			f.SetBool(from.flag(name))
		default:
			panic("storetest: no value for " + name)
		}
	}
}

// plain gives each field a value that is neither zero nor that of another field of the record.
type plain struct{}

func (plain) text(field string) string { return "text of " + field }
func (plain) number(field string) int64 {
	n := int64(1)
	for _, r := range field {
		n = n*31 + int64(r)
	}
	return n
}
func (p plain) fraction(field string) float64 { return float64(p.number(field)%1000) + 0.1 }
func (plain) flag(string) bool                { return true }
func (p plain) instant(field string) time.Time {
	return noon.Add(time.Duration(p.number(field)%1_000_000) * time.Microsecond)
}
func (plain) data(field string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"field":  %q, "n": 1e2}`, field)) // spaces and number are kept
}

// drawn gives values that rapid draws.
type drawn struct{ t *rapid.T }

var texts = rapid.Custom(func(t *rapid.T) string {
	return strings.ReplaceAll(rapid.StringN(0, 12, -1).Draw(t, "text"), "\x00", "")
})

func (d drawn) text(field string) string  { return texts.Draw(d.t, field) }
func (d drawn) number(field string) int64 { return rapid.Int64().Draw(d.t, field) }
func (d drawn) fraction(field string) float64 {
	return rapid.Float64Range(-1e300, 1e300).Draw(d.t, field)
}
func (d drawn) flag(field string) bool { return rapid.Bool().Draw(d.t, field) }
func (d drawn) instant(field string) time.Time {
	if micros := rapid.Int64Range(-1, 4_000_000_000_000_000).Draw(d.t, field); micros >= 0 {
		return time.UnixMicro(micros).UTC()
	}
	return time.Time{}
}
func (d drawn) data(field string) json.RawMessage {
	if rapid.Bool().Draw(d.t, field+" is nil") {
		return nil
	}
	raw, err := json.Marshal(texts.Draw(d.t, field))
	if err != nil {
		panic(err)
	}
	return raw
}
