package doctor

import (
	"bytes"
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

func pageOf(t *testing.T, pic Picture, color bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, pic, Options{Color: color, Verbose: true}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// briefOf is the page that folds what is all right.
func briefOf(t *testing.T, pic Picture) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, pic, Options{}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the golden files hold Linux's words for error numbers")
	}
	for _, c := range pictures() {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join("testdata", c.name)
			compare(t, file+".text", []byte(pageOf(t, c.picture, false)))
			compare(t, file+".brief", []byte(briefOf(t, c.picture)))
			if c.json {
				compare(t, file+".json", []byte(jsonOf(t, c.picture)))
			}
		})
	}
	compare(t, filepath.Join("testdata", "colored.text"), []byte(pageOf(t, closedHost(), true)))
}

func TestLaws(t *testing.T) {
	for _, c := range pictures() {
		t.Run(c.name, func(t *testing.T) { checkPicture(t, c.picture) })
	}
}

// FuzzPicture puts absurd strings and numbers wherever the system could, and holds the laws of both forms.
func FuzzPicture(f *testing.F) {
	f.Add("", "", "", uint64(0))
	f.Add("lo", "EPERM", "ip link set lo up", uint64(1))
	f.Add("a\nb\r", "\x1b[31m", "\xff\xfe", uint64(1)<<63)
	f.Add(strings.Repeat("wide ", 50), strings.Repeat("漢字 ", 50), strings.Repeat("x", 500), ^uint64(0))
	f.Add(`an "open string`, `"`, `"`+strings.Repeat("long ", 40)+`"`, uint64(3))
	f.Add("\x00", "", " \n ", uint64(2))
	f.Add("   ", "\u202e\u200b", "é\u0301", uint64(4))
	f.Fuzz(func(t *testing.T, a, b, c string, n uint64) { checkPicture(t, hostileHost(a, b, c, n)) })
}

func checkPicture(t *testing.T, pic Picture) {
	plain := pageOf(t, pic, false)
	if strings.ContainsFunc(strings.ReplaceAll(plain, "\n", ""), unicode.IsControl) || !utf8.ValidString(plain) {
		t.Errorf("control characters, or no UTF-8: %q", plain)
	}
	lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
	for i, line := range lines {
		if i == 0 || strings.TrimSpace(lines[i-1]) != "fix:" {
			checkPageLine(t, line)
		}
		if line == "" && (i == 0 || lines[i-1] == "") {
			t.Errorf("line %d is one empty line too many", i+1)
		}
	}
	if last := lines[len(lines)-1]; !strings.HasSuffix(plain, "\n") || strings.TrimSpace(last) == "" {
		t.Errorf("ends with %q", last)
	}
	colored := pageOf(t, pic, true)
	paint := regexp.MustCompile("\x1b\\[3[123]m(ok|warn|fail)\x1b\\[0m")
	if got := paint.ReplaceAllString(colored, "$1"); got != plain {
		t.Errorf("without color\n%q\nwith color\n%q", plain, colored)
	}
	checkBrief(t, briefOf(t, pic))
	checkJSON(t, pic)
}

// checkBrief holds that nothing stands above what is worse, from the first section on.
func checkBrief(t *testing.T, text string) {
	t.Helper()
	order := []string{"fail", "warn", "??", "info", "ok"}
	least := 0
	var sections bool
	for line := range strings.Lines(text) {
		mark, rest, _ := strings.Cut(line, " ")
		at := slices.Index(order, mark)
		title := strings.TrimSpace(rest)
		sections = sections || slices.ContainsFunc(titles, func(s string) bool { return strings.HasPrefix(title, s+":") || strings.HasPrefix(title, s+"  ") })
		if at < 0 || !sections {
			continue
		}
		if at < least {
			t.Errorf("%q stands below what is better:\n%s", line, text)
		}
		least = at
	}
}

var titles = []string{"Interface", "Routes", "Sockets", "Switches", "Firewall", "Connection tracking", "Queues", "Names", "Processor time", "Process", "Probe"}

func TestWriteError(t *testing.T) {
	forms := []func(*counter, *broken, Picture) error{
		func(c *counter, b *broken, pic Picture) error {
			return errors.Join(Write(c, pic, Options{Color: true}), Write(b, pic, Options{Color: true}))
		},
		func(c *counter, b *broken, pic Picture) error {
			return errors.Join(WriteJSON(c, pic), WriteJSON(b, pic))
		},
	}
	for i, write := range forms {
		var writes counter
		if err := write(&writes, &broken{left: 1000}, noAddressHost()); err != nil || writes == 0 {
			t.Fatalf("form %d: %d writes, error %v", i, writes, err)
		}
		for n := range int(writes) {
			if err := write(new(counter), &broken{left: n}, noAddressHost()); !errors.Is(err, errBroken) {
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

// TestMarks puts a finding of each code into the picture and looks at the section that it belongs to.
func TestMarks(t *testing.T) {
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
			pic := rootHost()
			pic.Results[0].Findings = []diagnose.Finding{{Code: diagnose.Code(code), Severity: severity, Cause: "cause"}}
			text := pageOf(t, pic, false)
			if got := sectionMark(t, text, section+":"); got != want {
				t.Errorf("%s of severity %s: %s has the mark %s, want %s", code, severity, section, got, want)
			}
			if got := sectionMark(t, text, code+" ("); got != want {
				t.Errorf("%s of severity %s: the finding has the mark %s, want %s", code, severity, got, want)
			}
			if got := sectionMark(t, text, "Process:"); got != "ok" {
				t.Errorf("%s: Process has the mark %s", code, got)
			}
			if !strings.Contains(text, "\n      found: "+code+" (see above)\n") {
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

// TestUnknown takes one fact away at a time: its section says so, and is not ok.
func TestUnknown(t *testing.T) {
	facts := reflect.TypeFor[platform.Facts]()
	for i := range facts.NumField() {
		pic := rootHost()
		field := reflect.ValueOf(&pic.Facts).Elem().Field(i)
		if !forget(field) {
			continue
		}
		text := pageOf(t, pic, false)
		if !strings.Contains(strings.Join(strings.Fields(text), " "), "unknown, because it is a secret") {
			t.Errorf("%s is unknown, and the text does not say so:\n%s", facts.Field(i).Name, text)
		}
		if facts.Field(i).Name != "Kernel" && facts.Field(i).Name != "Network" && !strings.Contains(text, "\n??    ") {
			t.Errorf("%s is unknown, and all sections are ok:\n%s", facts.Field(i).Name, text)
		}
	}
}

// TestFamilyUnknown is TestUnknown for what each family has of its own.
func TestFamilyUnknown(t *testing.T) {
	family := reflect.TypeFor[platform.Family]()
	for _, of := range []string{"IPv4", "IPv6"} {
		for i := range family.NumField() {
			pic := rootHost()
			field := reflect.ValueOf(&pic.Facts).Elem().FieldByName(of).Field(i)
			if !forget(field) {
				continue
			}
			text := pageOf(t, pic, false)
			if !strings.Contains(text, "unknown, because it is a secret") || !strings.Contains(text, "\n??    ") {
				t.Errorf("%s of %s is unknown, and the text does not say so:\n%s", family.Field(i).Name, of, text)
			}
		}
	}
}

func TestFindings(t *testing.T) {
	pic := rootHost()
	info := diagnose.Finding{Code: "clock_stepped", Severity: diagnose.Info, Cause: "the clock was set"}
	again := loDown()
	again.Evidence = "another sign"
	pic.Results[0].Findings = []diagnose.Finding{info, loDown()}
	pic.Results[1].Findings = []diagnose.Finding{loDown(), again, info}
	pic.Verdict, pic.ExitCode = stats.Unhealthy, 1
	text := pageOf(t, pic, false)
	want := "\n\nfail  unhealthy: lo_down; exit status 1\n\nfail  lo_down (error): interface lo is down\n" +
		"      evidence: flags of lo: LOOPBACK\n      evidence: another sign\n      fix:\n          ip link set lo up\n\n" +
		"info  clock_stepped (info): the clock was set\n\n"
	if _, got, _ := strings.Cut(text, "6.18.0"); !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestConclusion(t *testing.T) {
	info := diagnose.Finding{Code: "clock_stepped", Severity: diagnose.Info}
	bad := report.Result{Target: target4(), Cause: said("1 of 5 probes lost"), Summary: stats.Summary{Sent: 5, Received: 4, Lost: 1}}
	with := func(list ...diagnose.Finding) []report.Result {
		r := bad
		r.Findings = list
		return []report.Result{r}
	}
	for _, c := range []struct {
		picture Picture
		want    string
	}{
		{Picture{}, "unknown; exit status 0"},
		{rootHost(), "healthy: 127.0.0.1 5/5, ::1 5/5; exit status 0"},
		{
			Picture{Results: with(), Verdict: stats.Unhealthy, ExitCode: 1},
			"unhealthy: 127.0.0.1 1 of 5 probes lost; exit status 1",
		},
		{
			Picture{Results: with(info, loDown()), Verdict: stats.Unhealthy, ExitCode: 2},
			"unhealthy: lo_down; exit status 2",
		},
		{
			Picture{Results: with(info), Verdict: stats.Degraded},
			"degraded: 127.0.0.1 1 of 5 probes lost; exit status 0",
		},
	} {
		if got := conclusion(c.picture, mergedFindings(c.picture)); got != c.want {
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
