package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	"lping/ping/report"
	"lping/platform"
	"lping/platform/diagnose"
	"lping/stats"
)

func doctorText(t *testing.T, d Doctor, color bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, d, color); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func doctorJSON(t *testing.T, d Doctor) string {
	t.Helper()
	var out bytes.Buffer
	if err := WriteJSON(&out, d); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestDoctorGolden(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the golden files hold Linux's words for error numbers")
	}
	for _, c := range doctorCases() {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join("testdata", c.name)
			compare(t, file+".text", []byte(doctorText(t, c.doctor, false)))
			if c.json {
				compare(t, file+".json", []byte(doctorJSON(t, c.doctor)))
			}
		})
	}
	compare(t, filepath.Join("testdata", "colored.text"), []byte(doctorText(t, closedDoctor(), true)))
}

func TestDoctorLaws(t *testing.T) {
	for _, c := range doctorCases() {
		t.Run(c.name, func(t *testing.T) { checkDoctor(t, c.doctor) })
	}
}

// FuzzDoctor puts absurd strings and numbers wherever the system could, and holds the laws of both forms.
func FuzzDoctor(f *testing.F) {
	f.Add("", "", "", uint64(0))
	f.Add("lo", "EPERM", "ip link set lo up", uint64(1))
	f.Add("a\nb\r", "\x1b[31m", "\xff\xfe", uint64(1)<<63)
	f.Add(strings.Repeat("wide ", 50), strings.Repeat("漢字 ", 50), strings.Repeat("x", 500), ^uint64(0))
	f.Add(`an "open string`, `"`, `"`+strings.Repeat("long ", 40)+`"`, uint64(3))
	f.Add("\x00", "", " \n ", uint64(2))
	f.Add("   ", "\u202e\u200b", "é\u0301", uint64(4))
	f.Fuzz(func(t *testing.T, a, b, c string, n uint64) { checkDoctor(t, hostileDoctor(a, b, c, n)) })
}

func checkDoctor(t *testing.T, d Doctor) {
	plain := doctorText(t, d, false)
	if strings.ContainsFunc(strings.ReplaceAll(plain, "\n", ""), unicode.IsControl) || !utf8.ValidString(plain) {
		t.Errorf("control characters, or no UTF-8: %q", plain)
	}
	lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
	for i, line := range lines {
		checkDoctorLine(t, line)
		if line == "" && (i == 0 || lines[i-1] == "") {
			t.Errorf("line %d is one empty line too many", i+1)
		}
	}
	if last := lines[len(lines)-1]; !strings.HasSuffix(plain, "\n") || strings.TrimSpace(last) == "" {
		t.Errorf("ends with %q", last)
	}
	colored := doctorText(t, d, true)
	paint := regexp.MustCompile("\x1b\\[3[123]m(ok|warn|fail)\x1b\\[0m")
	if got := paint.ReplaceAllString(colored, "$1"); got != plain {
		t.Errorf("without color\n%q\nwith color\n%q", plain, colored)
	}
	checkDoctorJSON(t, d)
}

// checkDoctorLine demands 80 columns, but for a single word, with or without a mark in front.
func checkDoctorLine(t *testing.T, line string) {
	columns := 0
	for _, r := range line {
		columns++
		if unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) {
			columns++
		}
	}
	if strings.HasSuffix(line, " ") {
		t.Errorf("ends with a blank: %q", line)
	}
	if columns <= 80 {
		return
	}
	for _, word := range []string{"ok", "info", "??", "warn", "fail"} {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			line = rest
			break
		}
	}
	if strings.Contains(strings.TrimSpace(line), " ") {
		t.Errorf("%d columns: %q", columns, line)
	}
}

func checkDoctorJSON(t *testing.T, d Doctor) {
	var types []string
	for line := range strings.Lines(doctorJSON(t, d)) {
		checkObject(t, line, len(types) == 0)
		var object struct{ Type string }
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		types = append(types, object.Type)
	}
	want := []string{"doctor"}
	for _, r := range d.Results {
		for range r.Findings {
			want = append(want, "finding")
		}
		want = append(want, "summary")
	}
	if want = append(want, "overall"); !slices.Equal(types, want) {
		t.Errorf("objects %v, want %v", types, want)
	}
}

// TestDoctorRoundTrip reads back what a bug report would hold.
func TestDoctorRoundTrip(t *testing.T) {
	for _, c := range doctorCases() {
		if c.name == "empty" || c.name == "hostile" { // the first has no reasons, the other no UTF-8
			continue
		}
		first, _, _ := strings.Cut(doctorJSON(t, c.doctor), "\n")
		var got struct {
			Schema   int
			Facts    platform.Facts
			Evidence []diagnose.Evidence
		}
		if err := json.Unmarshal([]byte(first), &got); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got.Schema != 1 || !reflect.DeepEqual(got.Facts, c.doctor.Facts) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", c.name, got.Facts, c.doctor.Facts)
		}
		if !reflect.DeepEqual(got.Evidence, c.doctor.Evidence) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", c.name, got.Evidence, c.doctor.Evidence)
		}
	}
}

func TestDoctorEmptyLists(t *testing.T) {
	first, _, _ := strings.Cut(doctorJSON(t, Doctor{}), "\n")
	if !strings.HasSuffix(first, `,"sockets":[],"evidence":[]}`) {
		t.Error(first)
	}
}

func TestDoctorSocketJSON(t *testing.T) {
	d := Doctor{Sockets: []SocketTrial{{"UDP", 4, nil}, {"ICMP raw", 6, errors.New("no such protocol")}}}
	first, _, _ := strings.Cut(doctorJSON(t, d), "\n")
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

func TestDoctorWriteError(t *testing.T) {
	forms := []func(*counter, *broken, Doctor) error{
		func(c *counter, b *broken, d Doctor) error {
			return errors.Join(Write(c, d, true), Write(b, d, true))
		},
		func(c *counter, b *broken, d Doctor) error {
			return errors.Join(WriteJSON(c, d), WriteJSON(b, d))
		},
	}
	for i, write := range forms {
		var writes counter
		if err := write(&writes, &broken{left: 1000}, noAddressDoctor()); err != nil || writes == 0 {
			t.Fatalf("form %d: %d writes, error %v", i, writes, err)
		}
		for n := range int(writes) {
			if err := write(new(counter), &broken{left: n}, noAddressDoctor()); !errors.Is(err, errBroken) {
				t.Errorf("form %d: write %d failed, got error %v", i, n, err)
			}
		}
	}
}

// sectionMark is the mark of the first section or finding of this title.
func sectionMark(t *testing.T, text, title string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if mark, rest, _ := strings.Cut(line, " "); strings.HasPrefix(strings.TrimSpace(rest), title) {
			return mark
		}
	}
	t.Fatalf("no %s in\n%s", title, text)
	return ""
}

// TestDoctorMarks puts a finding of each code into the picture and looks at the section that it belongs to.
func TestDoctorMarks(t *testing.T) {
	sections := map[string]string{
		"lo_missing": "Interface", "lo_down": "Interface", "addr_missing": "Interface", "ipv6_mtu": "Interface",
		"ipv6_disabled": "Switches", "echo_ignored": "Switches", "route_missing": "Routes", "rule_blocks": "Routes",
		"icmp_not_permitted": "Sockets", "ports_exhausted": "Sockets", "fw_output": "Firewall",
		"fw_input_request": "Firewall", "fw_input_reply": "Firewall", "fw_reject": "Firewall", "fw_icmp_only": "Firewall",
		"socket_filter": "Firewall", "xfrm_blocks": "Firewall", "conntrack_full": "Connection tracking",
		"qdisc_drop": "Queues", "ingress_drop": "Queues", "queue_overflow": "Queues", "hosts_localhost": "Names",
		"cpu_throttled": "Processor time", "packet_loss": "Probe", "payload_corrupted": "Probe", "slow_path": "Probe",
		"duplicate_replies": "Probe", "clock_stepped": "Probe", "unknown": "Probe", "a_code_to_come": "Probe",
	}
	marks := map[diagnose.Severity]string{
		diagnose.Info: "info", diagnose.Warning: "warn", diagnose.Error: "fail", 0: "??",
	}
	for code, section := range sections {
		for severity, want := range marks {
			d := rootDoctor()
			d.Results[0].Findings = []diagnose.Finding{{Code: code, Severity: severity, Cause: "cause"}}
			text := doctorText(t, d, false)
			if got := sectionMark(t, text, section+":"); got != want {
				t.Errorf("%s of severity %s: %s has the mark %s, want %s", code, severity, section, got, want)
			}
			if got := sectionMark(t, text, code+" ("); got != want {
				t.Errorf("%s of severity %s: the finding has the mark %s, want %s", code, severity, got, want)
			}
			if got := sectionMark(t, text, "Process:"); got != "ok" {
				t.Errorf("%s: Process has the mark %s", code, got)
			}
			if !strings.Contains(text, "\n      found: "+code+" (see below)\n") {
				t.Errorf("%s is not named in\n%s", code, text)
			}
		}
	}
}

// forget makes a fact unknown, and says whether the field is one.
func forget(field reflect.Value) bool {
	if field.Kind() != reflect.Struct || !field.FieldByName("Why").IsValid() {
		return false
	}
	field.SetZero()
	field.FieldByName("Why").SetString("it is a secret")
	return true
}

// TestDoctorUnknown takes one fact away at a time: its section says so, and is not ok.
func TestDoctorUnknown(t *testing.T) {
	facts := reflect.TypeFor[platform.Facts]()
	for i := range facts.NumField() {
		d := rootDoctor()
		field := reflect.ValueOf(&d.Facts).Elem().Field(i)
		if !forget(field) {
			continue
		}
		text := doctorText(t, d, false)
		if !strings.Contains(strings.Join(strings.Fields(text), " "), "unknown, because it is a secret") {
			t.Errorf("%s is unknown, and the text does not say so:\n%s", facts.Field(i).Name, text)
		}
		if facts.Field(i).Name != "Kernel" && !strings.Contains(text, "\n??    ") {
			t.Errorf("%s is unknown, and all sections are ok:\n%s", facts.Field(i).Name, text)
		}
	}
}

// TestDoctorFamilyUnknown is TestDoctorUnknown for what each family has of its own.
func TestDoctorFamilyUnknown(t *testing.T) {
	family := reflect.TypeFor[platform.Family]()
	for _, of := range []string{"IPv4", "IPv6"} {
		for i := range family.NumField() {
			d := rootDoctor()
			field := reflect.ValueOf(&d.Facts).Elem().FieldByName(of).Field(i)
			if !forget(field) {
				continue
			}
			text := doctorText(t, d, false)
			if !strings.Contains(text, "unknown, because it is a secret") || !strings.Contains(text, "\n??    ") {
				t.Errorf("%s of %s is unknown, and the text does not say so:\n%s", family.Field(i).Name, of, text)
			}
		}
	}
}

// TestDoctorFix holds that a fix is whole: on one line where that has room, else broken outside of strings only.
func TestDoctorFix(t *testing.T) {
	for _, c := range []struct{ fix, want string }{
		{"ip link set lo up", "          ip link set lo up\n"},
		{
			`docker run --sysctl a="0 1" --sysctl some.rather.long.name.of.a.setting.here="0 2147483647" image`,
			"          docker run --sysctl a=\"0 1\" --sysctl\n" +
				"              some.rather.long.name.of.a.setting.here=\"0 2147483647\" image\n",
		},
		{
			"x " + strings.Repeat("y", 90) + " z",
			"          x\n              " + strings.Repeat("y", 90) + "\n              z\n",
		},
	} {
		d := rootDoctor()
		d.Results[0].Findings = []diagnose.Finding{{Code: "code", Severity: diagnose.Error, Cause: "cause", Fix: c.fix}}
		if text := doctorText(t, d, false); !strings.Contains(text, "\n      fix:\n"+c.want) {
			t.Errorf("got\n%s\nwant\n%s", text, c.want)
		}
	}
}

func TestDoctorFindings(t *testing.T) {
	d := rootDoctor()
	info := diagnose.Finding{Code: "clock_stepped", Severity: diagnose.Info, Cause: "the clock was set"}
	again := loDown()
	again.Evidence = "another sign"
	d.Results[0].Findings = []diagnose.Finding{info, loDown()}
	d.Results[1].Findings = []diagnose.Finding{loDown(), again, info}
	d.Verdict, d.ExitCode = stats.Unhealthy, 1
	text := doctorText(t, d, false)
	_, got, _ := strings.Cut(text, "\nFindings\n")
	want := "fail  lo_down (error): interface lo is down\n" +
		"      evidence: flags of lo: LOOPBACK\n      evidence: another sign\n      fix:\n          ip link set lo up\n" +
		"info  clock_stepped (info): the clock was set\n\nfail  unhealthy: lo_down; exit status 1\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDoctorConclusion(t *testing.T) {
	info := diagnose.Finding{Code: "clock_stepped", Severity: diagnose.Info}
	bad := report.Result{Target: target4(), Cause: "1 of 5 probes lost", Summary: stats.Summary{Sent: 5, Received: 4, Lost: 1}}
	with := func(list ...diagnose.Finding) []report.Result {
		r := bad
		r.Findings = list
		return []report.Result{r}
	}
	for _, c := range []struct {
		doctor Doctor
		want   string
	}{
		{Doctor{}, "unknown; exit status 0"},
		{rootDoctor(), "healthy: 127.0.0.1 5/5, ::1 5/5; exit status 0"},
		{
			Doctor{Results: with(), Verdict: stats.Unhealthy, ExitCode: 1},
			"unhealthy: 127.0.0.1 1 of 5 probes lost; exit status 1",
		},
		{
			Doctor{Results: with(info, loDown()), Verdict: stats.Unhealthy, ExitCode: 2},
			"unhealthy: lo_down; exit status 2",
		},
		{
			Doctor{Results: with(info), Verdict: stats.Degraded},
			"degraded: 127.0.0.1 1 of 5 probes lost; exit status 0",
		},
	} {
		if got := conclusion(c.doctor, collect(c.doctor)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "permitted"},
		{syscall.EACCES, "not permitted: EACCES ("},
		{errors.Join(errors.New("socket"), syscall.EPERM), "not permitted: EPERM ("},
		{syscall.EAFNOSUPPORT, "failed: EAFNOSUPPORT ("},
		{errors.New("no such thing"), "failed: no such thing"},
	} {
		if got := outcome(c.err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
}

func TestBreakable(t *testing.T) {
	for _, c := range []struct {
		s    string
		want []string
	}{
		{"", nil},
		{"  a   b ", []string{"  a", "   b"}},
		{`a="b  c" d`, []string{`a="b  c"`, " d"}},
		{`a "b c`, []string{"a", ` "b c`}},
		{`"12345 67890 abc" d`, []string{` "12345`, " 67890", ` abc"`, " d"}},
	} {
		if got := breakable(c.s, 12); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.s, got, c.want)
		}
	}
}

func TestTextWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "é": 2, "漢字": 4, "a\U0001f600b": 4, "\ufffd": 2} {
		if got := textWidth(s); got != want {
			t.Errorf("%q: got %d, want %d", s, got, want)
		}
	}
}
