package launch

import "fmt"

func pinError(actual, pin []byte) error {
	return fmt.Errorf("%w: its SHA-256 is %x, the pin says %x; if you have updated it, pin it again", ErrPin, actual, pin)
}
