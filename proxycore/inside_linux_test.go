// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { roles["inside"] = insideRole }

// insideRole is a program in a network namespace of its own where every address is
// local. It hands over its sockets on descriptor 3 and then does what the lines of
// its standard input say, one line of answer each.
func insideRole() {
	must(everythingLocal())
	passSockets(3)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch word := strings.Fields(in.Text()); word[0] {
		case "query": // SERVER HEX
			fmt.Println(insideQuery(word[1], word[2]))
		case "connect": // ADDRESS
			fmt.Println(insideConnect(word[1]))
		}
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "inside:", err)
		os.Exit(1)
	}
}

// everythingLocal brings loopback up and gives it every address.
func everythingLocal() error {
	const lo = 1
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	link := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(link[4:], lo)
	binary.NativeEndian.PutUint32(link[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(link[12:], unix.IFF_UP)
	if err := netlink(fd, unix.RTM_NEWLINK, 0, link); err != nil {
		return err
	}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		route := []byte{family, 0, 0, 0, unix.RT_TABLE_LOCAL, unix.RTPROT_BOOT, unix.RT_SCOPE_HOST, unix.RTN_LOCAL, 0, 0, 0, 0}
		route = binary.NativeEndian.AppendUint16(route, 8)
		route = binary.NativeEndian.AppendUint16(route, unix.RTA_OIF)
		route = binary.NativeEndian.AppendUint32(route, lo)
		if err := netlink(fd, unix.RTM_NEWROUTE, unix.NLM_F_CREATE, route); err != nil {
			return err
		}
	}
	return nil
}

// netlink makes one request and waits for its acknowledgement.
func netlink(fd int, kind uint16, flags uint16, body []byte) error {
	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = binary.NativeEndian.AppendUint16(m, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	m = append(append(m, make([]byte, 8)...), body...)
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	reply := make([]byte, 4096)
	if _, _, err := unix.Recvfrom(fd, reply, 0); err != nil {
		return err
	}
	if e := int32(binary.NativeEndian.Uint32(reply[unix.SizeofNlMsghdr:])); e != 0 {
		return fmt.Errorf("netlink request %d: %w", kind, unix.Errno(-e))
	}
	return nil
}

// passSockets sends the sockets that a sandbox needs: those for ports 22 and 443,
// both name servers, and a name server with IPv4 only at port 5300.
func passSockets(over int) {
	var fds []int
	add := func(s interface{ File() (*os.File, error) }) {
		f, err := s.File()
		must(err)
		fds = append(fds, int(f.Fd()))
	}
	for _, port := range []int{22, 443, 53} {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
		must(err)
		add(l)
	}
	u, err := net.ListenUDP("udp", &net.UDPAddr{Port: 53})
	must(err)
	add(u)
	u, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero, Port: 5300})
	must(err)
	add(u)
	must(unix.Sendmsg(over, []byte{0}, unix.UnixRights(fds...), nil, 0))
}

// insideQuery sends a query to a name server and gives the reply, which counts
// only if it comes from there.
func insideQuery(server, query string) string {
	c, err := net.Dial("udp", server)
	must(err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	msg, err := hex.DecodeString(query)
	must(err)
	if _, err := c.Write(msg); err != nil {
		return "error " + err.Error()
	}
	reply := make([]byte, 2000)
	n, err := c.Read(reply)
	if err != nil {
		return "error " + err.Error()
	}
	return hex.EncodeToString(reply[:n])
}

// insideConnect connects, and gives what it reads up to the end.
func insideConnect(address string) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return "error " + err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	b, err := io.ReadAll(c)
	if err != nil {
		return "error " + err.Error()
	}
	return "read " + string(b)
}

// inside is the program of insideRole and what it handed over.
type inside struct {
	t       *testing.T
	in      io.Writer
	out     *bufio.Scanner
	sockets Capture
}

// startInside starts the program in new namespaces.
func startInside(t *testing.T) *inside {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=inside")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		t.Skipf("cannot make a user namespace: %v; allow unprivileged user namespaces", err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	i := &inside{t: t, in: in, out: bufio.NewScanner(out)}
	i.sockets = takeSockets(t, pair[0])
	return i
}

// takeSockets receives what passSockets sends.
func takeSockets(t *testing.T, from int) (c Capture) {
	t.Helper()
	oob := make([]byte, unix.CmsgSpace(5*4))
	_, n, _, _, err := unix.Recvmsg(from, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		t.Fatalf("receive the sockets: %d bytes, %v", n, err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		defer f.Close()
		if i < 3 {
			l, err := net.FileListener(f)
			if err != nil {
				t.Fatal(err)
			}
			if i < 2 {
				c.Connections = append(c.Connections, l)
			} else {
				c.QueryStreams = append(c.QueryStreams, l)
			}
			continue
		}
		u, err := net.FilePacketConn(f)
		if err != nil {
			t.Fatal(err)
		}
		c.Queries = append(c.Queries, u.(*net.UDPConn))
	}
	return c
}

// do has the program do what a line says and gives its answer.
func (i *inside) do(format string, args ...any) string {
	i.t.Helper()
	if _, err := fmt.Fprintf(i.in, format+"\n", args...); err != nil {
		i.t.Fatal(err)
	}
	if !i.out.Scan() {
		i.t.Fatalf("the program inside has ended: %v", i.out.Err())
	}
	return i.out.Text()
}
