package trust

import (
	"fmt"
	"time"

	"fnb/internal/plain"
)

// A KeyError says why a key cannot be used.
type KeyError struct {
	Key     string // as it was named
	Missing bool   // there is none of that name
	Why     string
	Err     error // may be nil
}

func (e *KeyError) Error() string {
	s := "the key " + plain.Short(e.Key) + ": " + e.Why
	if e.Err != nil {
		s += ": " + plain.Error(e.Err).Error()
	}
	return s
}

// Unwrap returns what the system said.
func (e *KeyError) Unwrap() error { return e.Err }

// A PasswordError says that a key is encrypted, and was not opened.
type PasswordError struct {
	Key   string // as it was named
	Wrong bool   // there was a password
}

func (e *PasswordError) Error() string {
	if e.Wrong {
		return "the key " + plain.Short(e.Key) + ": the password is wrong"
	}
	return "the key " + plain.Short(e.Key) + " is encrypted, and there is no password for it"
}

// An AgentError says that the SSH agent did not do what it was asked for.
type AgentError struct {
	Key     string // as it was named
	Socket  string // "" where no agent is known
	Refused bool   // it has the key, and did not sign
	Why     string
}

func (e *AgentError) Error() string {
	return "the key " + plain.Short(e.Key) + ": the SSH agent " + e.Why
}

// A ProgramError says that a program that signs did not.
type ProgramError struct {
	Command string
	Doing   string // what it was asked for: sign, or public
	Said    string // on its standard error; may be empty
	Err     error
}

func (e *ProgramError) Error() string {
	s := fmt.Sprintf("the key exec:%s: asking it to %s: %s", plain.Short(e.Command), e.Doing, plain.Error(e.Err))
	if e.Said != "" {
		s += ": " + e.Said
	}
	return s
}

// Unwrap returns the program's end.
func (e *ProgramError) Unwrap() error { return e.Err }

// A TimeError says that a key is not valid now.
type TimeError struct {
	Key           PublicKey
	After, Before time.Time // of its validity; zero where it has no such end
	Now           time.Time
}

func (e *TimeError) Error() string {
	at := e.Now.UTC().Format(time.RFC3339)
	if !e.Before.IsZero() && !e.Now.Before(e.Before) {
		return fmt.Sprintf("the key %s has expired: it is valid until %s, and this machine's clock says %s", e.Key.Fingerprint(), e.Before.UTC().Format(time.RFC3339), at)
	}
	return fmt.Sprintf("the key %s is not valid yet: it is valid from %s, and this machine's clock says %s", e.Key.Fingerprint(), e.After.UTC().Format(time.RFC3339), at)
}

// A SignatureError says why something is no signature that counts.
type SignatureError struct {
	Key PublicKey // that made it, or was to have; may be none
	Why string
}

func (e *SignatureError) Error() string {
	if e.Key.IsZero() {
		return e.Why
	}
	return e.Key.Fingerprint() + ": " + e.Why
}
