package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"fnb/internal/disk"
)

// keySize is the size of a key.
const keySize = 32

// OpenKey reads the key in a file, by which the fnb of a user knows the calls that it has taken.
// It makes one if there is none.
func OpenKey(ctx context.Context, file string) (key []byte, err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	unlock, err := disk.Lock(ctx, file) // which makes it, for the user alone
	if err != nil {
		return nil, err
	}
	defer unlock()
	key, err = os.ReadFile(file)
	switch {
	case err != nil:
		return nil, err
	case len(key) == 0:
		key = newKey()
		return key, os.WriteFile(file, key, 0o600)
	case len(key) != keySize:
		return nil, fmt.Errorf("%s has %d bytes, and a key has %d: remove it, and calls that were kept before lead nowhere", file, len(key), keySize)
	}
	return key, nil
}

func newKey() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return key
}

// seal says that this fnb has taken a call: who called, and where the answer goes.
func (g *Gateway) seal(c *Call) string {
	said, _ := json.Marshal([]string{c.ID, c.CallID, c.Function, c.Callback, c.From}) // texts can be
	mac := hmac.New(sha256.New, g.o.Key)
	_, _ = mac.Write(said) // never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// caller is the function that called, as far as it is known; "" is the user. A call that somebody
// else has written leads nowhere that its own function does not reach.
func (g *Gateway) caller(c *Call) string {
	if hmac.Equal([]byte(c.Seal), []byte(g.seal(c))) {
		return c.From
	}
	return c.Function
}
