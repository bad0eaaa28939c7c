// Package sample is the change that the demo gates: small enough to break on purpose.
package sample

// Total is the price in cents after a discount in percent, rounded down in the customer's favour.
func Total(cents, discount int) int {
	return cents * (100 - discount) / 100
}
