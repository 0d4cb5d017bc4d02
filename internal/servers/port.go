package servers

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
)

// Ports that no system gives to those who ask for any, as connections do; there are
// some more behind them.
const firstFreePort, freePorts = 12000, 18000

// handed counts the ports that this process was given, beginning anywhere.
var handed = rand.Uint32N(freePorts) //nolint:gochecknoglobals // ports belong to the machine

// FreePorts returns the first of n consecutive ports at which nothing listens and
// that no outgoing connection takes, for programs that cannot choose one themselves
// and say which. A process is given a port again only after thousands of others.
func FreePorts(n int) (string, error) {
	for range 100 {
		first := firstFreePort + int((atomic.AddUint32(&handed, uint32(n))-uint32(n))%freePorts)
		if free(first, n) {
			return strconv.Itoa(first), nil
		}
	}
	return "", errors.New("no free port found")
}

func free(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", ":"+strconv.Itoa(port)) //nolint:noctx // it is closed at once
		if err != nil {
			return false
		}
		_ = l.Close() // only its number was wanted
	}
	return true
}
