package trust_test

import (
	"errors"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// A refuser is an agent whose user says no each time.
type refuser struct{ agent.Agent }

func (refuser) Sign(ssh.PublicKey, []byte) (*ssh.Signature, error) { return nil, errors.New("no") }

func (r refuser) SignWithFlags(key ssh.PublicKey, data []byte, _ agent.SignatureFlags) (*ssh.Signature, error) {
	return r.Sign(key, data)
}

func (refuser) Extension(string, []byte) ([]byte, error) { return nil, agent.ErrExtensionUnsupported }
