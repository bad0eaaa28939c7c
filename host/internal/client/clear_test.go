package client

import (
	"strings"
	"testing"
)

// TestOnlyThisMachine: whatever the name of the server is, a token goes in clear text to an address of this machine only.
func TestOnlyThisMachine(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true,
		"192.0.2.1:80": false, "[::]:80": false, "0.0.0.0:80": false, "[2001:db8::1]:80": false, "localhost:80": false, "": false,
	} {
		if err := onlyThisMachine("tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
	dialed, err := Dial(HTTP{Server: "http://localhost", Token: "t0k"})
	if err != nil {
		t.Fatal(err)
	}
	// The dialer is asked for an address, as the answer to the name would be.
	if _, err := dialed.peer.(*httpPeer).transport.DialContext(t.Context(), "tcp", "192.0.2.1:80"); err == nil || !strings.Contains(err.Error(), "clear text") {
		t.Errorf("another machine is dialled: %v", err)
	}
}
