package scripttools

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// serverPatience is how long a server may take to open its port, on a busy machine.
const serverPatience = 60 * time.Second

func init() { programs["beside"] = beside } // the others need no signal at the death of a parent

// beside is "beside PORT COMMAND …": while the command runs, the shell's command $SERVER is there, which opens this port. What it
// writes stands in the file log, its process is $SERVER_PID. It is killed in the end, even if it is stopped. The result is the
// command's exit status.
func beside(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: beside PORT COMMAND [ARG ...]")
		return badUsage
	}
	runtime.LockOSThread() // the server dies with the thread that started it
	log, err := os.Create("log")
	if err != nil {
		fmt.Fprintln(os.Stderr, "beside:", err)
		return badUsage
	}
	defer log.Close()
	server := exec.Command("sh", "-c", "exec "+os.Getenv("SERVER"))
	server.Stdout, server.Stderr = log, log
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "beside:", err)
		return badUsage
	}
	defer server.Wait()
	defer server.Process.Kill()
	for start := time.Now(); !isOpen(args[0]); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > serverPatience {
			said, _ := os.ReadFile("log")
			fmt.Fprintf(os.Stderr, "beside: nobody opened port %s: %s", args[0], said)
			return badUsage
		}
	}
	os.Setenv("SERVER_PID", strconv.Itoa(server.Process.Pid))
	return follow(args[1:])
}

// isOpen says that somebody listens at a port of TCP, or has it for UDP.
func isOpen(port string) bool {
	n, _ := strconv.Atoi(port)
	return slices.Contains(localPorts("udp", ""), n) || slices.Contains(localPorts("tcp", "0A"), n)
}
