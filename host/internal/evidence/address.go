package evidence

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
)

// errAddress is the error of an address that the http provider must not talk to.
var errAddress = errors.New("url host not allowed")

// guard keeps the http provider from being a way into the network that the host stands in ([F-06]): whoever writes a
// scenario could otherwise ask the metadata service of a cloud, or probe for what listens behind the firewall.
type guard struct {
	// allow is what the operator has opened.
	allow []netip.Prefix
}

// control is called for each address that is about to be connected to, after names have been resolved. A check of the
// name, or of an earlier resolution, is worth nothing: the next answer of the name server may be 127.0.0.1 (DNS rebinding).
func (g guard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !g.permits(to.Addr()) {
		return errAddress
	}
	return nil
}

func (g guard) permits(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if g.opened(a) {
		return true
	}
	if v4, ok := translated(a); ok {
		return g.permits(v4)
	}
	return public(a)
}

func (g guard) opened(a netip.Addr) bool {
	return slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(a) })
}

// nat64 is the well-known prefix by which a network without IPv4 reaches IPv4 addresses: what counts is the address in it.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func translated(a netip.Addr) (netip.Addr, bool) {
	if !nat64.Contains(a) {
		return netip.Addr{}, false
	}
	bytes := a.As16()
	return netip.AddrFrom4([4]byte(bytes[12:])), true
}

// globalUnicast is the part of IPv6 that is routed on the internet; the rest is local, reserved or not assigned.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// special are the blocks that are not on the public internet, from the IANA special-purpose registries.
var special = prefixes(
	"0.0.0.0/8",       // this network; Linux takes it for the machine itself
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // carrier-grade NAT, also cloud metadata services
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, cloud metadata services
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
	"2001::/23",       // Teredo and other protocol assignments, which can carry IPv4 addresses
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4, which carries an IPv4 address
	"3fff::/20",       // documentation
)

func prefixes(list ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(list))
	for i, s := range list {
		parsed[i] = netip.MustParsePrefix(s)
	}
	return parsed
}

func public(a netip.Addr) bool {
	if a.Is6() && !globalUnicast.Contains(a) {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}
