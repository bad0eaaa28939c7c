package config

import (
	"net/url"
	"strings"
)

// reached finds what is wrong with the address of a server that the host asks. token is the attribute for its credentials,
// harm what whoever is between could do without TLS.
func (c *checker) reached(field *string, u *url.URL, block, token, harm string, allowHTTP bool) {
	switch scheme := strings.ToLower(u.Scheme); {
	case u.User != nil:
		// It would be shown wherever the address is; here already, if the line were quoted.
		c.problem(field, "Wrong URL", "url of %s holds a user or password. Use %s.", block, token)
		c.diags[len(c.diags)-1].Extra = hideSource{}
	case scheme == "http" && !allowHTTP:
		c.problem(field, "Connection without TLS refused", "url of %s has no TLS: whoever is between could %s. Use https, or set allow_http.", block, harm)
	case scheme != "http" && scheme != "https":
		c.problem(field, "Wrong URL", "url of %s must begin with https://; this begins with %q.", block, u.Scheme+":")
	}
}

// sent finds a token that cannot be sent to such a server, or was written and is blank.
func (c *checker) sent(field *string, name, block string) {
	written := c.places[field] != (place{}) || *field != ""
	if written && strings.TrimSpace(*field) == "" || !visible(*field) {
		c.problem(field, "Wrong token", "%s of %s must be printable ASCII text, and not blank.", name, block)
	}
}

// visible reports whether a header can carry a text. A line break in it would be a header of its own.
func visible(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}
