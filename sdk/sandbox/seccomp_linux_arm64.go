package sandbox

import "golang.org/x/sys/unix"

// auditArch is this processor as a filter sees it.
const auditArch = unix.AUDIT_ARCH_AARCH64

const foreignCalls = 0

var auditDenied []uint32
