package signature

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"os"
	"slices"
	"unicode/utf8"
)

// What is wrong with a key file (mcp contract §5.5).
var (
	errRead   = errors.New("unable to read public key")
	errUTF8   = errors.New("public key must be utf-8")
	errBase64 = errors.New("invalid base64 public key")
	errPublic = errors.New("invalid ed25519 public key")
)

// maxKeyFile is the size in bytes of the largest key file: a key in base64 with some white space.
const maxKeyFile = 1 << 10

// LoadKey reads a public key: its 32 bytes, or these in base64.
func LoadKey(path string) (ed25519.PublicKey, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, errRead // a pipe could block for ever
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errRead
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, errRead
	}
	return parseKey(data)
}

func parseKey(data []byte) (ed25519.PublicKey, error) {
	if len(data) != ed25519.PublicKeySize {
		if !utf8.Valid(data) {
			return nil, errUTF8
		}
		decoded, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSpace(data)))
		if err != nil {
			return nil, errBase64
		}
		data = decoded
	}
	if len(data) != ed25519.PublicKeySize || smallOrder(data) || !onCurve(data) {
		return nil, errPublic
	}
	return data, nil
}

// verify is strict: crypto/ed25519 accepts points of small order, with which one signature fits any message. The key has
// passed parseKey.
func verify(key ed25519.PublicKey, message, signature []byte) bool {
	return !smallOrder(signature[:ed25519.PublicKeySize]) && ed25519.Verify(key, message, signature)
}

// smallOrderY are the y of the eight points of small order, with the forms of them that are not reduced, as 32 bytes little
// endian. The sign of x is the highest bit and does not count.
var smallOrderY = [][32]byte{
	{},  // order 4
	{1}, // order 1, the neutral element
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05}, // order 8
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}, // order 8
	nearPrime(0xec), // p-1, order 2
	nearPrime(0xed), // p, which is 0
	nearPrime(0xee), // p+1, which is 1
}

// nearPrime is a number near p = 2^255-19, whose lowest byte is 0xed.
func nearPrime(lowest byte) (y [32]byte) {
	for i := range y {
		y[i] = 0xff
	}
	y[0], y[31] = lowest, 0x7f
	return y
}

func smallOrder(point []byte) bool {
	y := [32]byte(point)
	y[31] &= 0x7f
	return slices.Contains(smallOrderY, y)
}

// The curve is -x²+y² = 1+dx²y² over the integers modulo p (RFC 8032 §5.1).
var (
	prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curve = func() *big.Int {
		d, _ := new(big.Int).SetString("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3", 16)
		return d
	}()
)

// onCurve says whether 32 bytes are a point in the one form that it has: y is below p, and there is an x for it. Bytes that
// are no point fail each verification, and the operator should know at start.
func onCurve(point []byte) bool {
	reversed := slices.Clone(point)
	slices.Reverse(reversed)
	reversed[0] &= 0x7f
	y := new(big.Int).SetBytes(reversed)
	if y.Cmp(prime) >= 0 {
		return false
	}
	one := big.NewInt(1)
	y2 := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(y2, one)
	v := new(big.Int).Add(new(big.Int).Mul(curve, y2), one)
	x2 := new(big.Int).Mul(u, new(big.Int).ModInverse(v.Mod(v, prime), prime))
	return big.Jacobi(x2.Mod(x2, prime), prime) >= 0
}
