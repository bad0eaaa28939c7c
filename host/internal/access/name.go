package access

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The types of names. Each method of authentication has one of its own, so that no method can be made to answer another's
// name.
const (
	localType    = "local:"
	tokenType    = "token:"
	mtlsType     = "mtls:"
	oidcType     = "oidc:"
	embedderType = "embedder:"
)

// reservedTypes are kept for methods that there may be: a name that begins so must not change its meaning then.
var reservedTypes = []string{"key:"}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ParseName is the id of the principal that a configuration names: loopback and stdio are local, what begins with a type is
// of that type, and everything else is the subject of a certificate.
func ParseName(name string) (id string, _ error) {
	switch subject, isLocal := strings.CutPrefix(name, localType); {
	case strings.TrimSpace(name) == "":
		return "", errors.New("it is blank")
	case isLocal && subject != Loopback && subject != stdio:
		return "", errors.New("local callers are local:loopback and local:stdio")
	case isLocal:
		return name, nil
	case name == Loopback || name == stdio:
		return localType + name, nil
	}
	if digest, isToken := strings.CutPrefix(name, tokenType); isToken && !hexDigest.MatchString(digest) {
		return "", errors.New("token: is followed by the SHA-256 of the token, 64 lower-case hexadecimal digits")
	}
	if i := slices.IndexFunc(reservedTypes, func(t string) bool { return strings.HasPrefix(name, t) }); i >= 0 {
		return "", fmt.Errorf("there are no callers of the type %s; if it is the subject of a certificate, write mtls: before it", reservedTypes[i])
	}
	if named, isOIDC := strings.CutPrefix(name, oidcType); isOIDC {
		if issuer, subject, _ := strings.Cut(named, "#"); issuer == "" || subject == "" {
			return "", errors.New("oidc: is followed by the issuer, a # and the subject, such as oidc:https://issuer.example#alice")
		}
		return name, nil
	}
	for _, kind := range []string{tokenType, mtlsType, embedderType} {
		if subject, typed := strings.CutPrefix(name, kind); typed {
			if subject == "" {
				return "", fmt.Errorf("nothing follows %s", kind)
			}
			return name, nil
		}
	}
	return mtlsType + name, nil
}
