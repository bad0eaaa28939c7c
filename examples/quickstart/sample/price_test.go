package sample

import "testing"

func TestTotal(t *testing.T) {
	for _, test := range []struct{ cents, discount, want int }{
		{1000, 0, 1000},
		{1000, 25, 750},
		{999, 50, 499},
		{1000, 100, 0},
	} {
		if got := Total(test.cents, test.discount); got != test.want {
			t.Errorf("Total(%d, %d) is %d, want %d", test.cents, test.discount, got, test.want)
		}
	}
}
