package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The rights of files by what they are needed for.
const (
	readRights  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	runRights   = readRights | unix.LANDLOCK_ACCESS_FS_EXECUTE
	writeRights = readRights | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	// fileRights are those that a file can have; a rule for one with others is refused by the kernel.
	fileRights = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	deviceRead = unix.LANDLOCK_ACCESS_FS_READ_FILE
	deviceBoth = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	// deniedRights are handled and given to nobody.
	deniedRights = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	allRights    = runRights | writeRights | deniedRights
)

// The versions of Landlock's interface that brought what is used here.
const (
	abiTruncate = 3 // Linux 6.2
	abiTCP      = 4 // Linux 6.7
	abiIoctl    = 5 // Linux 6.10
	abiScope    = 6 // Linux 6.12
)

// landlockABI is the version of the kernel's Landlock; 0 with an error when it has none.
var landlockABI = sync.OnceValues(func() (int, error) {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch errno {
	case 0:
		return int(abi), nil
	case unix.EOPNOTSUPP:
		return 0, errors.New(`the Landlock of the kernel is switched off: add "landlock" to the kernel's parameter lsm`)
	default:
		return 0, errors.New("the kernel has no Landlock, which came with Linux 5.13")
	}
})

func landlockShortfalls(s *Sandbox) []Shortfall {
	abi, err := landlockABI()
	if err != nil {
		return []Shortfall{{"", fmt.Sprintf("files are not protected, nor other processes: %v", err)}}
	}
	var out []Shortfall
	if abi < abiTruncate {
		out = append(out, Shortfall{"write", "files outside can still be cut off, where the user may write them: that needs Linux 6.2"})
	}
	if s.Connect != nil && abi < abiTCP {
		out = append(out, Shortfall{"connect", "TCP ports are not restricted: that needs Linux 6.7"})
	}
	if creds, _ := s.credentials(); abi < abiScope && creds == nil {
		out = append(out, Shortfall{"", "processes of the same user can be sent signals: that needs Linux 6.12, or a user of its own"})
	}
	if s.Network == Any && abi < abiScope {
		out = append(out, Shortfall{"network", "abstract sockets of other processes can be connected to: that needs Linux 6.12"})
	}
	return out
}

// rule is what is allowed of a path and all below it.
type rule struct {
	Path   string
	Rights uint64
	// Maybe is a path that need not be there.
	Maybe bool
}

// ruleset is what Landlock lets through.
type ruleset struct {
	Files  []rule
	TCP    bool // restrict TCP to Ports
	Ports  []uint16
	Scoped bool
}

// systemPaths are what programs, their interpreters and libraries read, and what holds no secret.
var systemPaths = []rule{
	{"/usr", runRights, true}, {"/bin", runRights, true}, {"/sbin", runRights, true}, {"/lib", runRights, true},
	{"/lib32", runRights, true}, {"/lib64", runRights, true}, {"/nix/store", runRights, true},
	{"/etc/ld.so.cache", readRights, true}, {"/etc/ld.so.conf", readRights, true}, {"/etc/ld.so.conf.d", readRights, true},
	{"/etc/localtime", readRights, true}, {"/etc/timezone", readRights, true},
	{"/etc/ssl/certs", readRights, true}, {"/etc/ssl/openssl.cnf", readRights, true}, {"/etc/ca-certificates", readRights, true}, {"/etc/pki/tls/certs", readRights, true}, {"/etc/pki/ca-trust", readRights, true},
	{"/dev/null", deviceBoth, true}, {"/dev/zero", deviceRead, true}, {"/dev/random", deviceRead, true}, {"/dev/urandom", deviceRead, true},
	{"/proc/cpuinfo", readRights, true}, {"/proc/meminfo", readRights, true}, {"/proc/stat", readRights, true},
	{"/proc/sys/net/core/somaxconn", readRights, true}, {"/proc/sys/vm/overcommit_memory", readRights, true},
	{"/sys/devices/system/cpu", readRights, true}, {"/sys/kernel/mm/transparent_hugepage", readRights, true},
}

// networkPaths are what looking up a name reads.
var networkPaths = []rule{
	{"/etc/resolv.conf", readRights, true}, {"/etc/hosts", readRights, true}, {"/etc/nsswitch.conf", readRights, true},
	{"/etc/host.conf", readRights, true}, {"/etc/gai.conf", readRights, true}, {"/etc/services", readRights, true}, {"/etc/protocols", readRights, true},
}

// rules are those of a sandbox for a program. Own is the program's private folder.
func (s *Sandbox) rules(program Program) ruleset {
	out := ruleset{Files: append([]rule{}, systemPaths...), TCP: s.Network != Any || s.Connect != nil, Ports: s.Connect, Scoped: true}
	if s.Network == Any {
		out.Files = append(out.Files, networkPaths...)
	}
	for _, path := range program.Files {
		out.Files = append(out.Files, rule{path, runRights, false})
	}
	for _, path := range s.Read {
		out.Files = append(out.Files, rule{path, runRights, false})
	}
	for _, path := range append([]string{program.Own}, s.Write...) {
		out.Files = append(out.Files, rule{path, writeRights, false})
	}
	return out
}

// open makes the kernel's form of a ruleset. It opens every path, so it comes before rights are given up.
func (r *ruleset) open() (fd int, err error) {
	abi, _ := landlockABI()
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handledRights(abi)}
	if r.TCP && abi >= abiTCP {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if r.Scoped && abi >= abiScope {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return -1, fmt.Errorf("make a Landlock ruleset: %w", errno)
	}
	fd = int(n)
	for _, file := range r.Files {
		if err := file.add(fd, attr.Handled_access_fs); err != nil {
			return fd, err
		}
	}
	if attr.Handled_access_net == 0 {
		return fd, nil
	}
	for _, port := range r.Ports {
		if err := addPort(fd, port); err != nil {
			return fd, err
		}
	}
	return fd, nil
}

// handledRights are those that a version of Landlock can take away.
func handledRights(abi int) uint64 {
	rights := uint64(allRights)
	if abi < 2 {
		rights &^= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi < abiTruncate {
		rights &^= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi < abiIoctl {
		rights &^= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights
}

func (r rule) add(ruleset int, handled uint64) error {
	fd, err := unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if r.Maybe && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s for the sandbox: %w", filepath.Clean(r.Path), err)
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	rights := r.Rights & handled
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("let the sandbox into %s: %w", r.Path, errno)
	}
	return nil
}

// netPort is struct landlock_net_port_attr, which golang.org/x/sys does not have.
type netPort struct {
	allowed uint64
	port    uint64
}

const ruleNetPort = 2 // LANDLOCK_RULE_NET_PORT

func addPort(ruleset int, port uint16) error {
	attr := netPort{allowed: unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, port: uint64(port)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), ruleNetPort, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("let the sandbox connect to port %d: %w", port, errno)
	}
	return nil
}
