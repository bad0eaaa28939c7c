package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// screen writes for a person: colour and a spinner on a terminal, plain lines in a pipe.
type screen struct {
	out      *os.File
	terminal bool
	colour   bool
	step     int
}

func newScreen(out *os.File) *screen {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	// https://no-color.org: present and not empty means no colour.
	return &screen{out: out, terminal: terminal, colour: terminal && os.Getenv("NO_COLOR") == ""}
}

// The colours, as SGR parameters.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s *screen) paint(sgr, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (s *screen) line(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// title begins a step.
func (s *screen) title(text string) {
	s.step++
	s.line("\n%s", s.paint(bold, fmt.Sprintf("%d. %s", s.step, text)))
}

// tell is one thing that happened: a word in colour, and what it is about.
func (s *screen) tell(sgr, word, format string, args ...any) {
	s.line("   %s %s", s.paint(sgr, fmt.Sprintf("%-8s", word)), fmt.Sprintf(format, args...))
}

func (s *screen) detail(format string, args ...any) {
	s.line("            %s", s.paint(dim, fmt.Sprintf(format, args...)))
}

// during shows that something is under way, on a terminal only.
func (s *screen) during(text string, work func() error) error {
	if !s.terminal {
		return work()
	}
	done := make(chan struct{})
	var spinning sync.WaitGroup
	spinning.Go(func() {
		for tick := 0; ; tick++ {
			fmt.Fprintf(s.out, "\r   %c %s", []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[tick%10], text)
			select {
			case <-done:
				fmt.Fprint(s.out, "\r\x1b[K")
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	defer spinning.Wait()
	defer close(done)
	return work()
}
