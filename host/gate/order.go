package gate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// shuffleKey is what conditions are sorted by when their order is shuffled (contract §6.6-7).
func shuffleKey(seed uint64, id ConditionID) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s", seed, id))
	return hex.EncodeToString(sum[:])
}

func shuffle(conditions []ConditionSpec, seed uint64) {
	slices.SortFunc(conditions, func(a, b ConditionSpec) int {
		return cmp.Or(
			cmp.Compare(shuffleKey(seed, a.ConditionID), shuffleKey(seed, b.ConditionID)),
			cmp.Compare(a.ConditionID, b.ConditionID),
		)
	})
}
