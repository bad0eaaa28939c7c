package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal is a pseudo terminal: what is written to the terminal is read from the other end.
func openTerminal(t *testing.T) (terminal *os.File, read func() string) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	number, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return terminal, func() string {
		// What was written is there to be read after the last one who has the terminal open is gone; then comes EIO.
		terminal.Close()
		text, err := io.ReadAll(control)
		if !errors.Is(err, unix.EIO) {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestScreen(t *testing.T) {
	colours := regexp.MustCompile("\x1b\\[[0-9]*m")
	for _, test := range []struct {
		name             string
		environment      map[string]string
		colour, spinning bool
	}{
		{"terminal", map[string]string{"TERM": "xterm", "NO_COLOR": ""}, true, true},
		{"NO_COLOR", map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false, true},
		{"dumb terminal", map[string]string{"TERM": "dumb", "NO_COLOR": ""}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.environment {
				t.Setenv(name, value)
			}
			terminal, read := openTerminal(t)
			s := newScreen(terminal)
			worked := false
			if err := s.during("testing", func() error { time.Sleep(time.Millisecond); worked = true; return nil }); err != nil || !worked {
				t.Fatal(err, worked)
			}
			s.tell(green, "READY", "for %s", "more")
			text := read()
			if colours.MatchString(text) != test.colour {
				t.Errorf("colour in %q, want %t", text, test.colour)
			}
			if strings.Contains(text, "testing") != test.spinning || strings.Contains(text, "\r\x1b[K") != test.spinning {
				t.Errorf("spinner in %q, want %t", text, test.spinning)
			}
			if !strings.Contains(colours.ReplaceAllString(text, ""), "READY    for more") {
				t.Errorf("%q lacks what was told", text)
			}
		})
	}
}
