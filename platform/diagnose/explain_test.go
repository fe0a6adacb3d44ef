package diagnose

import (
	"slices"
	"strings"
	"testing"
)

// maxTexts is how much all explanations may add to the binary, in bytes.
const maxTexts = 16 << 10

// witnesses are those that tell a cause.
var witnesses = []string{"the kernel's", "an errno", "a fact", "facts", "counters", "the answers", "nothing"}

// TestTexts holds that every code is explained, in every part and in plain text, and that each code it names is there.
func TestTexts(t *testing.T) {
	size := 0
	for i, text := range texts {
		if i >= len(rules) || text.Code != rules[i].Code {
			t.Fatalf("text %d is of %s, want one for each rule, in their order", i, text.Code)
		}
		for told := range strings.SplitSeq(text.Told, "; ") {
			if !slices.ContainsFunc(witnesses, func(w string) bool { return strings.HasPrefix(told, w) }) {
				t.Errorf("%s: %q names no witness, want one of %q first", text.Code, told, witnesses)
			}
		}
		if len(text.Confused) == 0 {
			t.Errorf("%s: is confused with nothing", text.Code)
		}
		list := append([]string{text.Fix}, text.Told)
		for _, c := range text.Confused {
			if Place(c.Code) == len(rules) || c.Code == text.Code {
				t.Errorf("%s: is confused with %s", text.Code, c.Code)
			}
			list = append(list, c.How)
		}
		for _, s := range []string{text.Key, text.Value, text.Docker, text.Podman, text.Kubernetes, text.Systemd} {
			if s != "" {
				list = append(list, s)
			}
		}
		for _, s := range list {
			checkText(t, text.Code, s, 250)
			if strings.HasSuffix(s, ".") {
				t.Errorf("%s: %q ends as a sentence", text.Code, s)
			}
			size += len(s)
		}
	}
	if len(texts) != len(rules) || size > maxTexts {
		t.Errorf("%d texts of %d bytes, want %d and at most %d bytes", len(texts), size, len(rules), maxTexts)
	}
	t.Logf("the texts have %d bytes", size)
}

func TestExplain(t *testing.T) {
	for i, name := range Codes() {
		e, text, ok := Explain(Code(name))
		if !ok || string(e.Code) != name || text.Code != e.Code || e.Code != Entries()[i].Code {
			t.Errorf("%s: got %s and %s, %v", name, e.Code, text.Code, ok)
		}
	}
	if _, _, ok := Explain("a_code_to_come"); ok {
		t.Error("a code to come is explained")
	}
}

// TestRemedies holds where the same is to be done, and where it is not.
func TestRemedies(t *testing.T) {
	for _, tt := range []struct {
		text Text
		want []Remedy
	}{
		{Text{Fix: "x"}, []Remedy{{"anywhere", "x"}}},
		{Text{Fix: "x", Systemd: "y"}, []Remedy{{"this host", "x"}, {"systemd", "y"}}},
		{Text{Code: LoDown, Fix: "x", Docker: "y"}, []Remedy{
			{"this host", "x"}, {"docker", "y"},
			{"podman", "the same from its host: nsenter -n -t $(podman inspect -f {{.State.Pid}} NAME) COMMAND"},
			{"kubernetes", "the same from its host: nsenter -n -t $(crictl inspect -o go-template --template {{.info.pid}} ID) COMMAND"},
		}},
		{Text{Key: "net.a", Value: "0", Fix: "x"}, []Remedy{
			{"this host", "sysctl -w net.a=0; x"},
			{"docker", "docker run --sysctl net.a=0"},
			{"podman", "podman run --sysctl net.a=0"},
			{"kubernetes", `pod securityContext.sysctls: {name: net.a, value: "0"}; the kubelet has to allow it: --allowed-unsafe-sysctls`},
		}},
		{Text{Key: groupRange, Value: `"0 1"`}, []Remedy{
			{"this host", `sysctl -w net.ipv4.ping_group_range="0 1"`},
			{"docker", `docker run --sysctl net.ipv4.ping_group_range="0 1"`},
			{"podman", `podman run --sysctl net.ipv4.ping_group_range="0 1"`},
			{"kubernetes", `pod securityContext.sysctls: {name: net.ipv4.ping_group_range, value: "0 1"}`},
		}},
	} {
		if got := tt.text.Remedies(); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: got %q\nwant %q", tt.text, got, tt.want)
		}
	}
}
