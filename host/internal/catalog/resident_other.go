//go:build !linux

package catalog

func residentBytes(int) uint64 { return 0 }
