package client_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
)

// program is the variable that makes the test binary a program that is talked to.
const program = "CLIENT_TEST_PROGRAM"

func TestMain(m *testing.M) {
	behave, is := programs[os.Getenv(program)]
	if !is {
		os.Exit(m.Run())
	}
	behave()
}

func frame(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }

func untilEnd() { _, _ = io.Copy(io.Discard, os.Stdin) }

// programs are what may be at the other end.
var programs = map[string]func(){
	"good": func() {
		fmt.Print("X-Other: 1\r\n" + frame(good) + "Content-Length:  5\n\nhello")
		untilEnd()
	},
	"counts": func() {
		in := bufio.NewReader(os.Stdin)
		for id := 1; ; id++ {
			line, err := in.ReadString('\n')
			length := 0
			if _, scanned := fmt.Sscanf(line, "Content-Length: %d", &length); err != nil || scanned != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, in, int64(length)+2); err != nil {
				return
			}
			fmt.Print(frame(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"json","json":%d}]}}`, id, id)))
		}
	},
	"gone slowly": func() {
		_ = os.Stdout.Close()
		time.Sleep(50 * time.Millisecond)
		fmt.Fprint(os.Stderr, "at last")
		os.Exit(1)
	},
	"gone":             func() { fmt.Fprintln(os.Stderr, "no configuration\nat all"); os.Exit(3) },
	"chatters":         func() { fmt.Fprint(os.Stderr, strings.Repeat("x", 1<<20)); os.Exit(1) },
	"no frames":        func() { fmt.Println(strings.Repeat("hello ", 1_000_000)); untilEnd() },
	"lines":            func() { fmt.Println(good); untilEnd() },
	"endless head":     func() { fmt.Print(strings.Repeat("X: 1\r\n", 100)); untilEnd() },
	"too large":        func() { fmt.Print("Content-Length: 16777217\r\n\r\n"); untilEnd() },
	"negative":         func() { fmt.Print("Content-Length: -1\r\n\r\n"); untilEnd() },
	"cut off":          func() { fmt.Print("Content-Length: 100\r\n\r\n{"); os.Exit(0) },
	"silent":           untilEnd,
	"fails at its end": func() { fmt.Print(frame(good)); untilEnd(); os.Exit(4) },
}

func start(t *testing.T, ctx context.Context, name string) *client.Client {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Start(ctx, []string{self}, []string{program + "=" + name})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPrograms(t *testing.T) {
	for name, want := range map[string]string{
		"good":         "",
		"gone":         "has ended, or answers no frames: EOF",
		"chatters":     "has ended, or answers no frames: EOF",
		"no frames":    "no Content-Length frame",
		"lines":        "no Content-Length frame",
		"endless head": "no Content-Length frame",
		"too large":    "larger than 16777216 bytes",
		"negative":     "no Content-Length frame",
		"cut off":      "the answer is cut off",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, t.Context(), name)
			result, err := call(t, c, client.Once)
			if want == "" && (err != nil || result != `{"n":1.5,"text":"é"}`) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %s, %v, want %s", result, err, want)
			}
			if err != nil && len(err.Error()) > 6000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			_ = c.Close()
		})
	}
}

// Close says what a program said before it ended badly.
func TestLastWords(t *testing.T) {
	c := start(t, t.Context(), "gone")
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "ended with exit status 3; its last words: no configuration | at all") {
		t.Errorf("got %v", err)
	}
	// Its output may end before its words have come.
	c = start(t, t.Context(), "gone slowly")
	if _, err := call(t, c, client.Once); err == nil || !strings.Contains(err.Error(), "its last words: at last") {
		t.Errorf("got %v", err)
	}
	_ = c.Close()
	c = start(t, t.Context(), "fails at its end")
	if _, err := call(t, c, client.Once); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("got %v", err)
	}
}

// A program that says nothing is left when time is up, and ended.
func TestSilentProgram(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	c := start(t, ctx, "silent")
	if _, err := c.Call(ctx, "providers_list", noArguments{}, client.Once); err == nil || !strings.Contains(err.Error(), "has not answered in time") {
		t.Errorf("got %v", err)
	}
	_ = c.Close()
}

// What is sent before the program reads it is not lost, and calls follow one another.
func TestCallsInOrder(t *testing.T) {
	c := start(t, t.Context(), "counts")
	for i := range 3 {
		if result, err := call(t, c, client.Once); err != nil || result != fmt.Sprint(i+1) {
			t.Errorf("call %d: %s, %v", i, result, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestNoProgram(t *testing.T) {
	if _, err := client.Start(t.Context(), []string{"/nonexistent/program"}, nil); err == nil || !strings.Contains(err.Error(), "cannot be started") {
		t.Errorf("got %v", err)
	}
}
