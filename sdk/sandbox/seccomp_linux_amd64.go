package sandbox

import "golang.org/x/sys/unix"

// auditArch is this processor as a filter sees it.
const auditArch = unix.AUDIT_ARCH_X86_64

// foreignCalls is where the numbers of another interface begin that the processor has too (x32).
const foreignCalls = 0x40000000

var auditDenied = []uint32{unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS}
