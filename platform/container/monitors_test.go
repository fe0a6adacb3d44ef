package container

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// textfile is the command of the unit that writes metrics, and the file that it writes here: in another directory.
func textfile(t *testing.T) (command []string, name string) {
	t.Helper()
	_, lping := buildLping(t)
	recipe := readRecipe(t, "lping-textfile.service")
	m := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/lping (.*) --output (\S+)$`).FindStringSubmatch(recipe)
	if m == nil || !strings.Contains(recipe, "\nStateDirectory="+strings.TrimPrefix(path.Dir(m[2]), "/var/lib/")+"\n") {
		t.Fatalf("no command, or no way to write its file: %q", m)
	}
	name = filepath.Join(t.TempDir(), "lping.prom")
	return slices.Concat([]string{lping}, strings.Fields(m[1]), []string{"--output", name}), name
}

// TestTextfile runs the command of the unit that writes metrics.
func TestTextfile(t *testing.T) {
	command, name := textfile(t)
	out, status := run(t, 30*time.Second, command...)
	b, err := os.ReadFile(name)
	if out != "" || status > 1 || err != nil || !strings.Contains(string(b), "\n# TYPE lping_") {
		t.Errorf("status %d, %v: %s\n%s", status, err, out, b)
	}
	if entries, _ := os.ReadDir(filepath.Dir(name)); len(entries) != 1 {
		t.Errorf("more than one file: %v", entries)
	}
}

// TestNodeExporter has node_exporter read the metrics again and again while the command of the unit writes them.
func TestNodeExporter(t *testing.T) {
	needs(t, "prometheus-node-exporter", "the metrics while they are written")
	command, name := textfile(t)
	command = append(command, "-i", "1ms") // the sooner it writes again
	if out, status := run(t, 30*time.Second, command...); status > 1 {
		t.Fatalf("status %d: %s", status, out)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := samples(string(b))
	url := startNodeExporter(t, filepath.Dir(name))
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range 200 {
			if out, status := run(t, 30*time.Second, command...); status > 1 {
				t.Errorf("status %d: %s", status, out)
			}
		}
	}()
	t.Cleanup(func() { <-written })
	scrapes := 0
	for done := false; !done; scrapes++ {
		select {
		case <-written:
			done = true // one more scrape, of what stays
		default:
		}
		text := scrape(t, url)
		if samples(text) != want || !strings.Contains(text, "\nnode_textfile_scrape_error 0\n") ||
			!strings.Contains(text, "\nnode_textfile_mtime_seconds{file=\""+name+"\"} ") {
			t.Fatalf("scrape %d: %d samples of lping, want %d:\n%s", scrapes, samples(text), want, text)
		}
	}
	t.Logf("%d scrapes", scrapes)
}

// samples counts the metrics that every run of lping writes: findings come and go.
func samples(text string) int {
	return strings.Count("\n"+text, "\nlping_") - strings.Count("\n"+text, "\nlping_finding{")
}

// startNodeExporter starts it for the test, with the collector of a directory alone and on a port that it chooses.
func startNodeExporter(t *testing.T, dir string) (url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
		"--collector.textfile.directory="+dir, "--web.listen-address=127.0.0.1:0", "--web.disable-exporter-metrics")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	lines := bufio.NewScanner(stderr)
	var log strings.Builder
	for lines.Scan() {
		if m := regexp.MustCompile(`msg="Listening on" address=(\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, stderr)
			return "http://" + m[1] + "/metrics"
		}
		fmt.Fprintln(&log, lines.Text())
	}
	t.Fatalf("it does not listen:\n%s", log.String())
	return ""
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v:\n%s", answer.Status, err, b)
	}
	return string(b)
}

// TestNagios has Nagios read the recipe, with the objects that it leaves to its reader.
func TestNagios(t *testing.T) {
	needs(t, "nagios4", "the recipe for Nagios")
	dir := t.TempDir()
	name, group := account(t)
	writeFile(t, filepath.Join(dir, "loopback.cfg"), readRecipe(t, "nagios.cfg"))
	writeFile(t, filepath.Join(dir, "objects.cfg"), `
define timeperiod {
    timeperiod_name  always
    alias            always
}
define command {
    command_name  nothing
    command_line  /bin/true
}
define contact {
    contact_name                   nobody
    host_notification_period       always
    service_notification_period    always
    host_notification_commands     nothing
    service_notification_commands  nothing
}
define host {
    host_name            localhost
    max_check_attempts   1
    check_period         always
    notification_period  always
    contacts             nobody
}
define service {
    name                 generic-service
    register             0
    max_check_attempts   1
    check_period         always
    notification_period  always
    contacts             nobody
}
`)
	main := filepath.Join(dir, "nagios.cfg")
	writeFile(t, main, strings.NewReplacer("DIR", dir, "USER", name, "GROUP", group).Replace(`
cfg_file=DIR/loopback.cfg
cfg_file=DIR/objects.cfg
log_file=DIR/log
check_result_path=DIR
temp_path=DIR
nagios_user=USER
nagios_group=GROUP
illegal_macro_output_chars=$
`))
	out, status := run(t, time.Minute, "nagios4", "-v", main)
	for _, want := range []string{"Checked 1 services.", "Checked 2 commands.", "Total Warnings: 0\n", "Total Errors:   0\n"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Fatalf("status %d, want %s:\n%s", status, want, out)
		}
	}
}

// TestIcinga2 has Icinga 2 read the recipe, where it belongs: on the master a host with an agent has the service and another
// has not, and the agent, which gets the global zone alone, knows the command.
func TestIcinga2(t *testing.T) {
	needs(t, "icinga2", "the recipe for Icinga 2")
	dir := t.TempDir()
	zones := filepath.Join(dir, "zones.d")
	for _, zone := range []string{"global-templates", "master"} {
		if err := os.MkdirAll(filepath.Join(zones, zone), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	main := filepath.Join(dir, "icinga2.conf")
	writeFile(t, main, `
object Endpoint "master" { }
object Zone "master" { endpoints = [ "master" ] }
object Endpoint "agent" { }
object Zone "agent" {
  endpoints = [ "agent" ]
  parent = "master"
}
object Zone "global-templates" { global = true }
template Service "generic-service" { }
object CheckCommand "nothing" { command = [ "true" ] }
object Host "other" { check_command = "nothing" }
`)
	writeFile(t, filepath.Join(zones, "global-templates", "commands.conf"), readRecipe(t, "icinga2-command.conf"))
	validateIcinga2(t, main, "agent", "Instantiated 1 Host.", "Instantiated 2 CheckCommands.")
	writeFile(t, filepath.Join(zones, "master", "hosts.conf"), `
object Host "agent" {
  check_command = "nothing"
  vars.agent_endpoint = name
}
`)
	writeFile(t, filepath.Join(zones, "master", "services.conf"), readRecipe(t, "icinga2-service.conf"))
	validateIcinga2(t, main, "master", "Instantiated 1 Service.", "Instantiated 2 Hosts.", "Instantiated 2 CheckCommands.")
}

// validateIcinga2 has a node read the configuration.
func validateIcinga2(t *testing.T, main, node string, wants ...string) {
	t.Helper()
	dir := filepath.Dir(main)
	name, group := account(t)
	out, status := run(t, time.Minute, "env", "ICINGA2_USER="+name, "ICINGA2_GROUP="+group, "icinga2", "daemon", "--validate",
		"--config", main, "-D", "NodeName="+node, "-D", "ZoneName="+node, "-D", "ZonesDir="+filepath.Join(dir, "zones.d"),
		"-D", "CacheDir="+dir, "-D", "DataDir="+dir)
	for _, want := range wants {
		if status != 0 || !strings.Contains(out, want) || strings.Contains(out, "warning/") {
			t.Fatalf("%s: status %d, want %s and no warning:\n%s", node, status, want, out)
		}
	}
}

// account is who runs the tests: a monitor that root starts would change to a user of its own.
func account(t *testing.T) (name, group string) {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return u.Username, g.Name
}
