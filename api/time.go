package api

import (
	"errors"
	"time"
)

// Time is an instant, in JSON a string as of RFC 3339 in UTC with milliseconds,
// such as "2025-03-14T09:26:53.589Z". Encoding cuts off what is finer. Decoding
// accepts every offset and fraction that RFC 3339 allows.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// String returns the time as it is in JSON, without the quotes.
func (t Time) String() string { return t.UTC().Format(timeLayout) }

// AppendText implements [encoding.TextAppender]. It returns an error for a year
// outside of 0 to 9999, which RFC 3339 cannot express.
func (t Time) AppendText(b []byte) ([]byte, error) {
	utc := t.UTC()
	if year := utc.Year(); year < 0 || year > 9999 {
		return nil, errors.New("api: the year of a Time is outside of 0 to 9999")
	}
	return utc.AppendFormat(b, timeLayout), nil
}

// MarshalText implements [encoding.TextMarshaler], with the error of
// AppendText.
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// MarshalJSON implements [encoding/json.Marshaler], with the error of
// AppendText.
func (t Time) MarshalJSON() ([]byte, error) {
	b, err := t.AppendText([]byte{'"'})
	if err != nil {
		return nil, err
	}
	return append(b, '"'), nil
}
