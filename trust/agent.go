package trust

import (
	"context"
	"fmt"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"fnb/internal/plain"
)

// maxAgentKeys bounds what an agent has.
const maxAgentKeys = 1000

// openAgent takes a key of the SSH agent, by its fingerprint or its comment. An empty wish takes the only
// one there is.
func openAgent(ctx context.Context, name, wish string, o Options) (*Signer, error) {
	socket := o.Agent
	if socket == "" {
		socket = os.Getenv("SSH_AUTH_SOCK")
	}
	if socket == "" {
		return nil, &AgentError{Key: name, Why: "is not known: SSH_AUTH_SOCK is not set"}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, &AgentError{Key: name, Socket: socket, Why: "does not answer: " + plain.Short(err.Error())}
	}
	a := &agentKey{name: name, socket: socket, conn: conn, client: agent.NewClient(conn)}
	key, err := a.choose(ctx, wish)
	if err != nil {
		_ = conn.Close() // it was only asked
		return nil, err
	}
	return &Signer{key: key, how: a}, nil
}

// An agentKey is a key that the agent has.
type agentKey struct {
	name, socket string
	conn         net.Conn
	client       agent.ExtendedAgent
	key          ssh.PublicKey
}

// Close ends the conversation.
func (a *agentKey) Close() error { return a.conn.Close() }

func (a *agentKey) choose(ctx context.Context, wish string) (PublicKey, error) {
	stop := context.AfterFunc(ctx, func() { _ = a.conn.Close() })
	defer stop()
	keys, err := a.client.List()
	if ctx.Err() != nil {
		return PublicKey{}, ctx.Err()
	}
	if err != nil {
		return PublicKey{}, &AgentError{Key: a.name, Socket: a.socket, Why: "does not list its keys: " + plain.Short(err.Error())}
	}
	var fit []PublicKey
	for _, k := range keys[:min(len(keys), maxAgentKeys)] {
		pub, err := ssh.ParsePublicKey(k.Blob)
		if err != nil {
			continue // a kind of key that is not known here
		}
		if key, err := newPublicKey(pub, k.Comment); err == nil && (wish == "" || wish == key.Fingerprint() || wish == k.Comment) {
			fit = append(fit, key)
		}
	}
	switch {
	case len(fit) == 1:
		a.key = fit[0].ssh
		return fit[0], nil
	case len(fit) > 1:
		return PublicKey{}, &AgentError{Key: a.name, Socket: a.socket, Why: fmt.Sprintf("has %d such keys: name one by its fingerprint, such as agent:%s", len(fit), fit[0].Fingerprint())}
	}
	return PublicKey{}, &AgentError{Key: a.name, Socket: a.socket, Why: fmt.Sprintf("has no such key among its %d", len(keys))}
}

// sign has the agent sign. The agent may ask the user, so it is waited for until ctx ends.
func (a *agentKey) sign(ctx context.Context, data []byte, algorithm string) (*ssh.Signature, error) {
	stop := context.AfterFunc(ctx, func() { _ = a.conn.Close() })
	defer stop()
	var flags agent.SignatureFlags
	switch algorithm {
	case ssh.KeyAlgoRSASHA256:
		flags = agent.SignatureFlagRsaSha256
	case ssh.KeyAlgoRSASHA512:
		flags = agent.SignatureFlagRsaSha512
	}
	made, err := a.client.SignWithFlags(a.key, data, flags)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &AgentError{Key: a.name, Socket: a.socket, Refused: true, Why: "refuses to sign: " + plain.Short(err.Error())}
	}
	return made, nil
}
