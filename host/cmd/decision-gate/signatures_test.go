package main

import (
	"bytes"
	"io"
	"os"

	"aead.dev/minisign"
	"github.com/rogpeppe/go-internal/testscript"
)

// signFiles makes a key and signs files with it, as minisign does: "minisign PUBLIC-KEY-FILE FILE...".
func signFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: minisign PUBLIC-KEY-FILE FILE...")
	}
	public, private, err := minisign.GenerateKey(nil)
	ts.Check(err)
	text, err := public.MarshalText()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o644))
	for _, name := range args[1:] {
		content, err := os.ReadFile(ts.MkAbs(name))
		ts.Check(err)
		reader := minisign.NewReader(bytes.NewReader(content))
		_, err = io.Copy(io.Discard, reader)
		ts.Check(err)
		signature := reader.SignWithComments(private, "release 7", "signature")
		ts.Check(os.WriteFile(ts.MkAbs(name)+".minisig", signature, 0o644))
	}
}
