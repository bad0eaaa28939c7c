package sandbox

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deniedCalls have no place in a plugin: they reach into other processes, the kernel or the machine, or get around the
// other walls. They fail with EPERM, as they would for lack of a privilege. One processor's own are in auditDenied.
var deniedCalls = []uint32{
	// Other processes.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	// Leaving the process group, by which the host ends a plugin with all that it has started.
	unix.SYS_SETSID, unix.SYS_SETPGID,
	// The kernel and large surfaces of it.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_FANOTIFY_INIT, unix.SYS_SYSLOG,
	// A ring makes system calls that this filter does not see.
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	// Other views of the file system, and files by number.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN,
	unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT,
	// Modes, owners and attributes by path, of which Landlock knows nothing. Those of open files can be changed.
	unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWNAT, unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_SETXATTRAT,
	unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_REMOVEXATTRAT, unix.SYS_FILE_SETATTR,
	// The machine.
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_VHANGUP, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
}

// newNamespaces are the flags of clone that make namespaces: in one of users a program has every capability again.
const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// Offsets in struct seccomp_data. Of arguments only the lower half is looked at: all that are compared are ints.
const (
	offNumber = 0
	offArch   = 4
	offArg0   = 16
	offArg1   = 24
	offArg2   = 32
)

const (
	allow = unix.SECCOMP_RET_ALLOW
	// socketType is the type in the second argument of socket, without its flags.
	socketType = 0xf
)

func fail(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

// filter is a program for the kernel's packet filter, which is run at every system call.
type filter []unix.SockFilter

func (f *filter) load(offset uint32) { f.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset, 0, 0) }
func (f *filter) and(mask uint32)    { f.op(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, mask, 0, 0) }
func (f *filter) ret(value uint32)   { f.op(unix.BPF_RET|unix.BPF_K, value, 0, 0) }

func (f *filter) op(code uint16, k uint32, jt, jf uint8) {
	*f = append(*f, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

// when runs what then adds if the loaded value is k.
func (f *filter) when(k uint32, then func()) {
	at := len(*f)
	f.op(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 0, 0)
	then()
	(*f)[at].Jf = uint8(len(*f) - at - 1)
}

// reach is how much of the network a filter leaves.
type reach int

const (
	noNetwork reach = iota
	// plainNetwork is UDP, and TCP that Landlock restricts.
	plainNetwork
	anyNetwork
)

// systemCalls is the filter for a sandbox.
func systemCalls(network reach) filter {
	var f filter
	f.load(offArch)
	// Another processor's numbers mean other calls: a 32-bit program would pass.
	f.op(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, auditArch, 1, 0)
	f.ret(unix.SECCOMP_RET_KILL_PROCESS)
	f.load(offNumber)
	if foreignCalls != 0 {
		f.op(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, foreignCalls, 0, 1)
		f.ret(fail(unix.EPERM))
	}
	for _, call := range append(deniedCalls, auditDenied...) {
		f.when(call, func() { f.ret(fail(unix.EPERM)) })
	}
	// Its flags lie in memory, which a filter cannot read. Libraries take "not there" for an old kernel and use clone.
	f.when(unix.SYS_CLONE3, func() { f.ret(fail(unix.ENOSYS)) })
	f.when(unix.SYS_CLONE, func() {
		f.load(offArg0)
		f.and(newNamespaces)
		f.when(0, func() { f.ret(allow) })
		f.ret(fail(unix.EPERM))
	})
	// Of another process of the same user it would change the limits: the host's too.
	f.when(unix.SYS_PRLIMIT64, func() {
		f.load(offArg0)
		f.when(0, func() { f.ret(allow) })
		f.ret(fail(unix.EPERM))
	})
	if network == noNetwork {
		f.when(unix.SYS_CONNECT, func() { f.ret(fail(unix.EACCES)) })
	}
	f.when(unix.SYS_SOCKET, func() { f.socket(network) })
	f.ret(allow)
	return f
}

// socket lets sockets pass that the sandbox may have.
func (f *filter) socket(network reach) {
	f.load(offArg0)
	if network == noNetwork {
		f.when(unix.AF_UNIX, func() {
			// A datagram is sent to any socket of the machine without a connection.
			f.sockets(unix.SOCK_STREAM)
		})
		f.ret(fail(unix.EACCES))
		return
	}
	f.when(unix.AF_UNIX, func() { f.ret(allow) })
	// Of the interfaces and addresses of the machine, which libraries ask for.
	f.when(unix.AF_NETLINK, func() {
		f.load(offArg2)
		f.when(unix.NETLINK_ROUTE, func() { f.ret(allow) })
		f.ret(fail(unix.EACCES))
	})
	for _, domain := range []uint32{unix.AF_INET, unix.AF_INET6} {
		f.when(domain, func() {
			if network == anyNetwork {
				f.ret(allow)
				return
			}
			// Landlock does not see the ports of other protocols that do what TCP does, such as MPTCP and SCTP.
			f.load(offArg2)
			for _, protocol := range []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
				f.when(protocol, func() { f.sockets(unix.SOCK_STREAM, unix.SOCK_DGRAM) })
			}
			f.ret(fail(unix.EACCES))
		})
	}
	f.ret(fail(unix.EACCES))
}

// sockets lets the types of sockets pass, and no others.
func (f *filter) sockets(types ...uint32) {
	f.load(offArg1)
	f.and(socketType)
	for _, kind := range types {
		f.when(kind, func() { f.ret(allow) })
	}
	f.ret(fail(unix.EACCES))
}

// install puts the filter on this thread, for it and all that it executes.
func (f filter) install() error {
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("filter system calls: %w", errno)
	}
	return nil
}
