package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// prey is what a hostile plugin is after; the test says where it is.
type prey struct {
	Secret  string // file of the host's
	Folder  string // folder of the host's
	Mine    string // folder that the plugin may write
	Host    int    // process id of the host
	Victim  int    // process id of another process
	TCP     string // address of a listener
	UDP     string
	Socket  string // path of a socket of another plugin
	Spoken  string // abstract socket of another process
	Allowed string // address of a listener on a port that the sandbox may let through

	// Only are the attempts to make, for a plugin without a sandbox, which some would let harm the machine; all if empty.
	Only []string
}

// attempts are ways out of a sandbox. One that returns nil has got out.
var attempts = map[string]func(p prey) error{
	"read the password file":                    func(prey) error { return read("/etc/shadow") },
	"read a file of the host":                   func(p prey) error { return read(p.Secret) },
	"list a folder of the host":                 func(p prey) error { _, err := os.ReadDir(p.Folder); return err },
	"write into a folder of the host":           func(p prey) error { return os.WriteFile(filepath.Join(p.Folder, "planted"), []byte("x"), 0o600) },
	"overwrite a file of the host":              func(p prey) error { return reopen(p.Secret, os.O_WRONLY) },
	"cut off a file of the host":                func(p prey) error { return os.Truncate(p.Secret, 6) },
	"change the mode of a file of the host":     func(p prey) error { return os.Chmod(p.Secret, 0o644) },
	"change the mode by an unopened descriptor": chmodUnopened,
	"change the owner of a file of the host":    func(p prey) error { return os.Lchown(p.Secret, os.Getuid(), os.Getgid()) },
	"mark a file of the host":                   func(p prey) error { return unix.Setxattr(p.Secret, "user.mark", []byte("x"), 0) },
	"remove a file of the host":                 func(p prey) error { return os.Remove(filepath.Join(p.Folder, "spare")) },
	"read through a symbolic link":              symlink,
	"read through a hard link":                  hardlink,
	"move a file out":                           moveOut,
	"execute a file that it has written":        dropAndRun,
	"read the host's environment":               func(p prey) error { return read(fmt.Sprintf("/proc/%d/environ", p.Host)) },
	"open the host's memory":                    func(p prey) error { return reopen(fmt.Sprintf("/proc/%d/mem", p.Host), os.O_RDWR) },
	"read the host's memory by a call":          readMemory,
	"look through the host's descriptors":       func(p prey) error { return read(fmt.Sprintf("/proc/%d/root%s", p.Host, p.Secret)) },
	"change a limit of the host":                changeLimit,
	"trace another process":                     func(p prey) error { return sys(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(p.Victim), 0, 0) },
	"signal the host":                           func(p prey) error { return syscall.Kill(p.Host, syscall.SIGCONT) },
	"signal another process":                    func(p prey) error { return syscall.Kill(p.Victim, syscall.SIGCONT) },
	"connect by TCP":                            func(p prey) error { return dial("tcp", p.TCP) },
	"connect by MPTCP":                          connectMPTCP,
	"make a raw socket":                         func(prey) error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP) },
	"connect to a port that is named":           func(p prey) error { return dial("tcp", p.Allowed) },
	"send by UDP":                               sendUDP,
	"listen on a port":                          listen,
	"talk to the kernel by netlink":             func(prey) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT) },
	"make a packet socket":                      func(prey) error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) },
	"make a socket to a virtual machine":        func(prey) error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) },
	"connect to another plugin":                 func(p prey) error { return dial("unix", p.Socket) },
	"connect to an abstract socket":             func(p prey) error { return dial("unix", p.Spoken) },
	"become another user":                       func(prey) error { return sys(unix.SYS_SETRESUID, 12345, 12345, 12345, 0) },
	"become root":                               becomeRoot,
	"get a namespace of users":                  func(prey) error { return command("/usr/bin/unshare", "-U", "/bin/true") },
	"clone into a namespace of users":           cloneNamespace,
	"mount":                                     func(p prey) error { return unix.Mount("none", p.Mine, "tmpfs", 0, "") },
	"change the root":                           func(p prey) error { return unix.Chroot(p.Mine) },
	"make a ring":                               func(prey) error { return ring() },
	"load a program into the kernel":            func(prey) error { return sys(unix.SYS_BPF, 99, 0, 0, 0) },
	"use the kernel's keys": func(prey) error {
		return sys(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, unix.KEY_SPEC_USER_KEYRING&0xffffffff, 1, 0)
	},
	"make a device":           func(p prey) error { return unix.Mknod(filepath.Join(p.Mine, "kmsg"), unix.S_IFCHR|0o600, 1<<8|11) },
	"leave the session":       func(prey) error { return start(&syscall.SysProcAttr{Setsid: true}) },
	"leave the process group": func(prey) error { return start(&syscall.SysProcAttr{Setpgid: true}) },
	"open too many files":     tooManyFiles,
	"raise a limit":           func(prey) error { return raise() },
}

// escape makes every attempt and tells what each has met: "ESCAPED", or an error.
func escape(text string) string {
	var p prey
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err.Error()
	}
	report := map[string]string{}
	for name, attempt := range attempts {
		if len(p.Only) > 0 && !slices.Contains(p.Only, name) {
			continue
		}
		report[name] = "ESCAPED"
		if err := attempt(p); err != nil {
			report[name] = err.Error()
		}
	}
	out, _ := json.Marshal(report)
	return string(out)
}

func read(path string) error {
	_, err := os.ReadFile(path)
	return err
}

func reopen(path string, flags int) error {
	f, err := os.OpenFile(path, flags, 0)
	if err == nil {
		f.Close()
	}
	return err
}

// changeLimit sets a limit of the host to what it is.
func changeLimit(p prey) error {
	var now unix.Rlimit
	if err := unix.Prlimit(p.Host, unix.RLIMIT_CORE, nil, &now); err != nil {
		return err
	}
	return unix.Prlimit(p.Host, unix.RLIMIT_CORE, &now, nil)
}

// chmodUnopened has a descriptor that leads to a file without a right to it.
func chmodUnopened(p prey) error {
	fd, err := unix.Open(p.Secret, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o644)
}

func symlink(p prey) error {
	link := filepath.Join(p.Mine, "symbolic")
	if err := os.Symlink(p.Secret, link); err != nil {
		return err
	}
	return read(link)
}

func hardlink(p prey) error {
	link := filepath.Join(p.Mine, "hard")
	if err := os.Link(p.Secret, link); err != nil {
		return err
	}
	return read(link)
}

func moveOut(p prey) error {
	from := filepath.Join(p.Mine, "mine")
	if err := os.WriteFile(from, nil, 0o600); err != nil {
		return err
	}
	return os.Rename(from, filepath.Join(p.Folder, "moved"))
}

func dropAndRun(p prey) error {
	path := filepath.Join(p.Mine, "tool")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
		return err
	}
	return command(path)
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w %s", err, out)
	}
	return nil
}

func sys(call, a, b, c, d uintptr) error {
	if _, _, errno := syscall.Syscall6(call, a, b, c, d, 0, 0); errno != 0 && !(call == unix.SYS_BPF && errno == syscall.EINVAL) {
		return errno
	}
	return nil
}

func readMemory(p prey) error {
	var word [8]byte
	local := []unix.Iovec{{Base: &word[0], Len: 8}}
	_, err := unix.ProcessVMReadv(p.Host, local, []unix.RemoteIovec{{Base: uintptr(mapped(p.Host)), Len: 8}}, 0)
	return err
}

// mapped is where a program is mapped: at the same address as this one, which was built in the same way, or as its own
// table of memory says.
func mapped(pid int) uint64 {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		maps, _ = os.ReadFile("/proc/self/maps")
	}
	begin, _, _ := strings.Cut(string(maps), "-")
	address, _ := strconv.ParseUint(begin, 16, 64)
	return address
}

func dial(network, address string) error {
	conn, err := net.Dial(network, address)
	if err == nil {
		conn.Close()
	}
	return err
}

// connectMPTCP uses several paths of TCP, which the kernel does not take for TCP where that is restricted.
func connectMPTCP(p prey) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	address, err := net.ResolveTCPAddr("tcp", p.TCP)
	if err != nil {
		return err
	}
	return unix.Connect(fd, &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte{127, 0, 0, 1}})
}

func sendUDP(p prey) error {
	conn, err := net.Dial("udp", p.UDP)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("secret"))
	return err
}

func listen(prey) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		listener.Close()
	}
	return err
}

func socket(domain, kind, protocol int) error {
	fd, err := unix.Socket(domain, kind, protocol)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func becomeRoot(prey) error {
	if os.Getuid() == 0 && effectiveCapabilities() == 0 {
		return errors.New("is root, without any capability")
	}
	return sys(unix.SYS_SETRESUID, 0, 0, 0, 0)
}

func effectiveCapabilities() uint64 {
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return 1
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
}

func cloneNamespace(prey) error {
	return start(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER})
}

func start(how *syscall.SysProcAttr) error {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = how
	return cmd.Run()
}

func ring() error {
	var params [120]byte
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params[0])), 0)
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

// manyFiles is more than the sandbox of the test allows.
const manyFiles = 200

func tooManyFiles(prey) error {
	var all []*os.File
	defer func() {
		for _, f := range all {
			f.Close()
		}
	}()
	for range manyFiles {
		f, err := os.Open("/dev/null")
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	return nil
}

func raise() error {
	limit := syscall.Rlimit{Cur: 4096, Max: 4096}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// maxForks bounds a fork bomb, so that the test cannot harm the machine.
const maxForks = 400

// forkBomb starts processes until it may not, and says how many it got.
func forkBomb() string {
	var all []*exec.Cmd
	defer func() {
		for _, cmd := range all {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	for range maxForks {
		cmd := exec.Command("/bin/sleep", "60")
		if err := cmd.Start(); err != nil {
			return fmt.Sprintf("%d %v", len(all), err)
		}
		all = append(all, cmd)
	}
	return fmt.Sprint(len(all))
}
