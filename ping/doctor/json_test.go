package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lping/platform"
	"lping/platform/diagnose"
)

func jsonOf(t *testing.T, pic Picture) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteJSON(&out, pic); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func checkJSON(t *testing.T, pic Picture) {
	var types []string
	for line := range strings.Lines(jsonOf(t, pic)) {
		checkObject(t, line, len(types) == 0)
		var object struct{ Type string }
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		types = append(types, object.Type)
	}
	want := []string{"doctor"}
	for _, r := range pic.Results {
		for range r.Findings {
			want = append(want, "finding")
		}
		want = append(want, "summary")
	}
	if want = append(want, "overall"); !slices.Equal(types, want) {
		t.Errorf("objects %v, want %v", types, want)
	}
}

// TestRoundTrip reads back what a bug report would hold.
func TestRoundTrip(t *testing.T) {
	for _, c := range pictures() {
		if c.name == "empty" || c.name == "hostile" { // the first has no reasons, the other no UTF-8
			continue
		}
		first, _, _ := strings.Cut(jsonOf(t, c.picture), "\n")
		var got struct {
			Schema   int
			Facts    platform.Facts
			Evidence []diagnose.Evidence
		}
		if err := json.Unmarshal([]byte(first), &got); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got.Schema != 1 || !reflect.DeepEqual(got.Facts, c.picture.Facts) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", c.name, got.Facts, c.picture.Facts)
		}
		if !reflect.DeepEqual(got.Evidence, c.picture.Evidence) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", c.name, got.Evidence, c.picture.Evidence)
		}
	}
}

func TestEmptyLists(t *testing.T) {
	first, _, _ := strings.Cut(jsonOf(t, Picture{}), "\n")
	if !strings.Contains(first, `,"sockets":[],"evidence":[],"watches_drops":{"unknown":"not read"},`) {
		t.Error(first)
	}
}

func TestSocketJSON(t *testing.T) {
	pic := Picture{Sockets: []SocketTrial{{"UDP", 4, nil}, {"ICMP raw", 6, errors.New("no such protocol")}}}
	first, _, _ := strings.Cut(jsonOf(t, pic), "\n")
	for _, want := range []string{
		`{"kind":"UDP","family":4,"permitted":true,"errno":null,"error":null}`,
		`{"kind":"ICMP raw","family":6,"permitted":false,"errno":null,"error":"no such protocol"}`,
	} {
		if !strings.Contains(first, want) {
			t.Errorf("got %s, want %s", first, want)
		}
	}
	if got := newJSONSocket(SocketTrial{"UDP", 4, syscall.EACCES}); got.Errno == nil || *got.Errno != "EACCES" {
		t.Errorf("got %+v", got)
	}
}
