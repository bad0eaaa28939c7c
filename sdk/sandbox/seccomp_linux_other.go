//go:build linux && !amd64 && !arm64

package sandbox

// auditArch is 0: there is no filter for this processor.
const auditArch = 0

const foreignCalls = 0

var auditDenied []uint32
