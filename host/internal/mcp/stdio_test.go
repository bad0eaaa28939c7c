package mcp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

func frameOf(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }

// frames serves an input and splits the output into its frames, strictly.
func (r *rig) frames(input string) ([]string, error) {
	r.t.Helper()
	var out bytes.Buffer
	err := r.ServeStdio(context.Background(), strings.NewReader(input), &out)
	return splitFrames(r.t, out.Bytes()), err
}

func splitFrames(t testing.TB, output []byte) (frames []string) {
	t.Helper()
	reader := bufio.NewReader(bytes.NewReader(output))
	for {
		line, err := reader.ReadString('\n')
		if err == io.EOF && line == "" {
			return frames
		}
		length, found := strings.CutPrefix(strings.TrimSuffix(line, "\r\n"), "Content-Length: ")
		n, atoi := strconv.Atoi(length)
		blank, _ := reader.ReadString('\n')
		if !found || atoi != nil || blank != "\r\n" {
			t.Fatalf("a frame begins with %q %q", line, blank)
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(reader, body); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, string(body))
	}
}

// TestFrames is the framing table of mcp contract §1.5. The end of input is a clean end, wherever a header could begin.
func TestFrames(t *testing.T) {
	ok := frameOf(listTools)
	n := len(listTools)
	for _, test := range []struct {
		name, input string
		answers     int
		err         error
	}{
		{"nothing", "", 0, nil},
		{"one", ok, 1, nil},
		{"three", ok + ok + ok, 3, nil},
		{"line feeds alone", fmt.Sprintf("Content-Length: %d\n\n%s", n, listTools), 1, nil},
		{"no space", fmt.Sprintf("Content-Length:%d\r\n\r\n%s", n, listTools), 1, nil},
		{"many spaces", fmt.Sprintf("Content-Length:   %d  \r\n\r\n%s", n, listTools), 1, nil},
		{"plus", fmt.Sprintf("Content-Length: +%d\r\n\r\n%s", n, listTools), 1, nil},
		{"other headers", fmt.Sprintf("Content-Type: x\r\nX: y\r\nContent-Length: %d\r\nZ\r\n\r\n%s", n, listTools), 1, nil},
		{"last length wins", fmt.Sprintf("Content-Length: 1\r\nContent-Length: %d\r\n\r\n%s", n, listTools), 1, nil},
		{"length zero", "Content-Length: 0\r\n\r\n" + ok, 2, nil},
		{"not JSON", frameOf("{") + ok, 2, nil},
		{"not UTF-8 in the body", frameOf("\xff") + ok, 2, nil},
		{"a notification is answered", frameOf(`{"jsonrpc":"2.0","method":"notifications/initialized"}`) + ok, 2, nil},
		{"end in a header line", ok + "Content-Len", 1, nil},
		{"end in a header block", ok + "Content-Length: 5\r\n", 1, nil},

		{"blank line first", "\r\n" + ok, 0, errNoLength},
		{"blanks first", "  \r\n" + ok, 0, errNoLength},
		{"lower case", fmt.Sprintf("content-length: %d\r\n\r\n%s", n, listTools), 0, errNoLength},
		{"indented", fmt.Sprintf(" Content-Length: %d\r\n\r\n%s", n, listTools), 0, errNoLength},
		{"space before the colon", fmt.Sprintf("Content-Length : %d\r\n\r\n%s", n, listTools), 0, errNoLength},
		{"negative", "Content-Length: -1\r\n\r\n", 0, errBadLength},
		{"no number", "Content-Length: x\r\n\r\n", 0, errBadLength},
		{"empty", "Content-Length: \r\n\r\n", 0, errBadLength},
		{"hexadecimal", "Content-Length: 0x5\r\n\r\n12345", 0, errBadLength},
		{"two signs", "Content-Length: ++5\r\n\r\n12345", 0, errBadLength},
		{"underscore", "Content-Length: 1_0\r\n\r\n1234567890", 0, errBadLength},
		{"fraction", "Content-Length: 5.0\r\n\r\n12345", 0, errBadLength},
		{"list", "Content-Length: 5, 5\r\n\r\n12345", 0, errBadLength},
		{"beyond 64 bits", "Content-Length: 99999999999999999999\r\n\r\n", 0, errBadLength},
		{"a bad length that a good one follows", "Content-Length: x\r\n" + ok, 0, errBadLength},
		{"one too many", fmt.Sprintf("Content-Length: %d\r\n\r\n", testMaxBody+1), 0, errFrameTooLarge},
		{"far too many", "Content-Length: 9223372036854775807\r\n\r\n", 0, errFrameTooLarge},
		{"end in the body", ok + "Content-Length: 10\r\n\r\n123", 1, errReadFailed},
		{"header that is not UTF-8", ok + "X: \xff\r\n" + ok, 1, errReadFailed},
		{"header line without an end", strings.Repeat("x", maxHeaderLine+1), 0, errReadFailed},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers, err := newRig(t).frames(test.input)
			if len(answers) != test.answers || !errors.Is(err, test.err) {
				t.Errorf("%d answers, %v; want %d, %v", len(answers), err, test.answers, test.err)
			}
		})
	}
}

// TestLargestFrame accepts a body of exactly the limit.
func TestLargestFrame(t *testing.T) {
	body := listTools + strings.Repeat(" ", testMaxBody-len(listTools))
	if answers, err := newRig(t).frames(frameOf(body)); err != nil || len(answers) != 1 || !strings.Contains(answers[0], `"tools"`) {
		t.Errorf("%.80q, %v", answers, err)
	}
}

// TestStdioEnds tells a host to end whose peer says nothing, or not all: it must not wait for the peer.
func TestStdioEnds(t *testing.T) {
	for _, begun := range []string{"", "Content-Le", "Content-Length: 10\r\n\r\n123"} {
		in, peer := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- newRig(t).ServeStdio(ctx, in, io.Discard) }()
		if begun != "" {
			if _, err := peer.Write([]byte(begun)); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("after %q: %v", begun, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("after %q: the host waits for its peer", begun)
		}
		peer.Close()
	}
}

// TestStdioPeerGone ends when nobody reads the answers.
func TestStdioPeerGone(t *testing.T) {
	_, out := io.Pipe()
	out.Close()
	if err := newRig(t).ServeStdio(t.Context(), strings.NewReader(frameOf(listTools)), out); err == nil {
		t.Error("writing to nobody succeeded")
	}
}

// TestStdioLines sends JSON without frames, as stock clients do: it is answered by the line, and by the standard surface.
func TestStdioLines(t *testing.T) {
	for _, test := range []struct {
		name, input string
		answers     int
	}{
		{"one", listTools + "\n", 1},
		{"an end without a line feed", listTools, 1},
		{"two, and blank lines", listTools + "\n\n \n" + strings.Replace(listTools, `"id":1`, `"id":2`, 1) + "\r\n", 2},
		{"a notification", listTools + "\n" + `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n", 1},
		{"a batch", "[" + listTools + "]\n", 1},
		{"not JSON", "{\n" + listTools + "\n", 2},
		{"a line beyond the limit", "{" + strings.Repeat(" ", testMaxBody) + "\n" + listTools + "\n", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := newRig(t).ServeStdio(t.Context(), strings.NewReader(test.input), &out); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if len(lines) != test.answers {
				t.Errorf("%d answers, want %d", len(lines), test.answers)
			}
			for _, line := range lines {
				decodeAnswer(t, []byte(line))
			}
		})
	}
}
