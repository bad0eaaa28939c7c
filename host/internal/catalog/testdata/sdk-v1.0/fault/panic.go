package fault

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Recover turns a panic of the calling function into an INTERNAL error in *err; call it with defer. One bad request must
// not take down the calls of every other tenant. The panic and its stack go to slog.Default and never cross the wire:
// they may hold stored data.
func Recover(err *error) {
	value := recover()
	if value == nil {
		return
	}
	slog.Default().Error("panic", "value", fmt.Sprint(value), "stack", string(debug.Stack()))
	*err = New(Internal, "internal error: the call panicked, its stack is in the log")
}
