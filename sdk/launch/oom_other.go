//go:build !linux

package launch

func machineOOMKills() (kills uint64, known bool) { return 0, false }
