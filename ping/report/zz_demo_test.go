package report
import ("testing";"os";"lping/platform";"net/netip";"syscall")
func TestZZDemo(t *testing.T){
	f:=platform.Read("/", netip.MustParseAddr("127.0.0.1"))
	d:=Doctor{Facts:f, Results:[]Result{healthy(target4()), missing6()}, Sockets: []SocketTrial{{"ICMP datagram",4,os.NewSyscallError("socket",syscall.EACCES)},{"ICMP datagram",6,os.NewSyscallError("socket",syscall.EACCES)},{"ICMP raw",4,nil},{"ICMP raw",6,syscall.EPERM},{"UDP",4,nil},{"UDP",6,nil}}, Verdict:3, ExitCode:1}
	WriteDoctor(os.Stdout,d,false)
	WriteDoctor(os.Stdout,Doctor{},false)
	WriteDoctorJSON(os.Stdout,d)
}
