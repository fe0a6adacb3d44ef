package fact

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestKnownJSON(t *testing.T) {
	type fact struct {
		Number Known[int]     `json:"number"`
		Groups Known[Range]   `json:"groups"`
		List   Known[[]Range] `json:"list"`
	}
	tests := []struct {
		name, json string
		want       fact
	}{
		{"known", `{"number":7,"groups":{"low":1,"high":0},"list":[]}`,
			fact{Know(7), Know(Range{1, 0}), Know([]Range{})}},
		{"zero is known", `{"number":0,"groups":{"low":0,"high":0},"list":[{"low":3,"high":0}]}`,
			fact{Know(0), Know(Range{}), Know([]Range{{Low: 3}})}},
		{"unknown", `{"number":{"unknown":"is empty"},"groups":{"unknown":"no such file"},"list":{"unknown":"x"}}`,
			fact{Unknown[int]("is empty"), Unknown[Range]("no such file"), Unknown[[]Range]("x")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got fact
			if err := json.Unmarshal([]byte(tt.json), &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			b, err := json.Marshal(got)
			if err != nil || string(b) != tt.json {
				t.Errorf("got %s, %v, want %s", b, err, tt.json)
			}
		})
	}
}

func TestKnownWrongType(t *testing.T) {
	for _, s := range []string{`{"unknown":3}`, `"text"`, `{`, `[]`, `{"low":"x"}`} {
		k := Know(Range{1, 2})
		if err := json.Unmarshal([]byte(s), &k); err == nil {
			t.Errorf("%s: got %+v, want an error", s, k)
		}
	}
}
