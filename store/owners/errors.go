package owners

import (
	"fmt"

	"fnb/internal/plain"
)

// A ChainError says why the owners that a store has for a namespace are not believed. All
// that is in the namespace is refused then.
type ChainError struct {
	Namespace string
	File      string // of the store; "" where it is about all of them
	// Replaced says that they are others than those that this machine knows, or fewer.
	Replaced bool
	Why      string
}

func (e *ChainError) Error() string {
	return fmt.Sprintf("the owners of the namespace %s: %s", plain.Short(e.Namespace), e.Why)
}

// A Reason is why a signature does not count.
type Reason string

// The reasons.
const (
	Unsigned  Reason = "unsigned"  // there is none
	Stranger  Reason = "stranger"  // no key of the namespace made it
	Former    Reason = "former"    // a key that was taken away made it
	Role      Reason = "role"      // the key may do other things only
	Expired   Reason = "expired"   // the key's time was over
	Elsewhere Reason = "elsewhere" // it is for another store
	Different Reason = "different" // it is for other content
	Damaged   Reason = "damaged"   // it cannot be read
	Keyless   Reason = "keyless"   // nobody's key made it, but an OIDC subject
)

// A SignatureError says why the signatures beside a file of a store do not count.
type SignatureError struct {
	File      string
	Namespace string
	Reason    Reason
	Why       string
}

func (e *SignatureError) Error() string { return e.Why }
