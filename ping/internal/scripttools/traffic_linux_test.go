package scripttools

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// traffic is what others send in a network namespace: echoes of both families over lo, datagrams to a closed port, connects to one,
// and pings from outside by a pair of veth. $FLOOD makes the echoes as fast as they are answered.
type traffic struct {
	children []*exec.Cmd
	held     io.Closer
	done     chan struct{}
}

const (
	// pause is how long each of the others waits between two packets.
	pause = 2 * time.Millisecond
	// least is how many packets each of the others must have sent while lping ran, in a fifth of a second or more.
	least = 4
)

// startTraffic makes the pair and starts to send. It dies with this process.
func startTraffic() (*traffic, error) {
	t := &traffic{done: make(chan struct{})}
	peer := exec.Command("unshare", "--net", "cat")
	in, inErr := peer.StdinPipe()
	out, outErr := peer.StdoutPipe()
	if inErr != nil || outErr != nil || t.start(peer) != nil {
		return nil, fmt.Errorf("the peer does not start: %v, %v", inErr, outErr)
	}
	t.held = in
	in.Write([]byte{'\n'})
	out.Read(make([]byte, 1)) // it is there
	pid := strconv.Itoa(peer.Process.Pid)
	err := shell(`ip address add fd00::1/128 dev lo nodad
		ip link add v0 type veth peer name v1 netns ` + pid + `
		ip address add 10.9.0.1/24 dev v0; ip link set v0 up
		nsenter --target ` + pid + ` --net sh -ec 'ip address add 10.9.0.2/24 dev v1; ip link set v1 up'`)
	if err != nil {
		return nil, err
	}
	speed := []string{"-i", pause.String()}
	if os.Getenv("FLOOD") != "" {
		speed = []string{"-f"}
	}
	for _, target := range []string{"127.0.0.2", "fd00::1"} {
		if err := t.start(exec.Command("lping", append(speed, "-q", "-c", "0", target)...)); err != nil {
			return nil, err
		}
	}
	from := exec.Command("nsenter", "--target", pid, "--net", "ping", "-q", "-i", fmt.Sprint(pause.Seconds()), "10.9.0.1")
	if err := t.start(from); err != nil {
		return nil, err
	}
	for _, a := range []string{"127.0.0.2:9", "[fd00::1]:9"} {
		go t.refused("udp", a)
		go t.refused("tcp", a)
	}
	before := t.counts()
	for start := time.Now(); ; time.Sleep(pause) {
		if err := t.moved(before, len(counters)); err == nil || time.Since(start) > serverPatience {
			return t, err
		}
	}
}

// start starts a command that dies with this process.
func (t *traffic) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	t.children = append(t.children, cmd)
	return cmd.Start()
}

// refused sends to a port that nobody has.
func (t *traffic) refused(network, address string) {
	for {
		select {
		case <-t.done:
			return
		case <-time.After(pause):
		}
		if c, err := net.DialTimeout(network, address, 10*pause); err == nil {
			c.Write([]byte("counter:1|c"))
			c.Close()
		}
	}
}

func (t *traffic) stop() {
	close(t.done)
	t.held.Close()
	for _, cmd := range t.children {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// counters are what the others move, and lping does not or hardly does: the name in the file in which the kernel counts it, for that
// of IPv4 after its protocol.
var counters = []string{"Udp NoPorts", "Udp6NoPorts", "Tcp ActiveOpens", "Icmp OutEchos", "Icmp6OutEchos", "v0 packets"}

// counts reads them.
func (t *traffic) counts() (list []uint64) {
	if t == nil {
		return nil
	}
	for _, name := range counters {
		list = append(list, count(name))
	}
	return list
}

func count(name string) (n uint64) {
	protocol, field, old := strings.Cut(name, " ")
	file := map[bool]string{true: "snmp", false: "snmp6"}[old]
	if field == "packets" {
		file = "dev"
	}
	b, _ := os.ReadFile("/proc/net/" + file)
	var names []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(strings.ReplaceAll(line, ":", " "))
		switch {
		case len(f) < 2 || f[0] != protocol:
		case field == "packets":
			n, _ = strconv.ParseUint(f[2], 10, 64)
		case !old:
			n, _ = strconv.ParseUint(f[1], 10, 64)
		case names == nil:
			names = f
		default:
			n, _ = strconv.ParseUint(f[slices.Index(names, field)], 10, 64)
		}
	}
	return n
}

// moved is an error unless so many of the others sent since.
func (t *traffic) moved(before []uint64, want int) error {
	var still []string
	for i, n := range t.counts() {
		if n < before[i]+least {
			still = append(still, fmt.Sprintf("%s +%d", counters[i], n-before[i]))
		}
	}
	if len(counters)-len(still) < want {
		return fmt.Errorf("the others are still: %s", strings.Join(still, ", "))
	}
	return nil
}
