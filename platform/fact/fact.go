// Package fact has the shapes of what was read about a host: a value that may be unknown, and a range.
package fact

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// notRead is why a fact is unknown if nobody looked for it.
const notRead = "not read"

// Known is a fact or, unless OK is set, why it is unknown. The zero value is unknown.
//
// In JSON a fact is its value, and an unknown one is {"unknown": "why"}; if its key is missing it is unknown, too.
type Known[T any] struct {
	Value T
	OK    bool
	// Why tells a person why the fact could not be read.
	Why string
}

// Know is a fact that was read.
func Know[T any](v T) Known[T] { return Known[T]{Value: v, OK: true} }

// Unknown is a fact that could not be read.
func Unknown[T any](why string) Known[T] { return Known[T]{Why: why} }

// Get is the value and whether it is known.
func (k Known[T]) Get() (T, bool) { return k.Value, k.OK }

// Reason is why the fact is unknown; empty if it is known.
func (k Known[T]) Reason() string {
	switch {
	case k.OK:
		return ""
	case k.Why == "":
		return notRead
	}
	return k.Why
}

// unknownJSON is how an unknown fact is written. No fact has a key of this name.
type unknownJSON struct {
	Unknown *string `json:"unknown"`
}

// MarshalJSON writes the value, or why there is none.
func (k Known[T]) MarshalJSON() ([]byte, error) {
	if k.OK {
		return json.Marshal(k.Value)
	}
	why := k.Reason()
	return json.Marshal(unknownJSON{&why})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (k *Known[T]) UnmarshalJSON(b []byte) error {
	*k = Known[T]{}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		var u unknownJSON
		if err := json.Unmarshal(b, &u); err != nil {
			return err
		}
		if u.Unknown != nil {
			k.Why = *u.Unknown
			return nil
		}
	}
	if err := json.Unmarshal(b, &k.Value); err != nil {
		return err
	}
	k.OK = true
	return nil
}

// Range is two limits, both inclusive.
type Range struct {
	Low  int64 `json:"low"`
	High int64 `json:"high"`
}

// Contains says whether n is within the limits.
func (r Range) Contains(n int64) bool { return r.Low <= n && n <= r.High }

// String is the range as sysctl shows it.
func (r Range) String() string {
	return strconv.FormatInt(r.Low, 10) + " " + strconv.FormatInt(r.High, 10)
}
