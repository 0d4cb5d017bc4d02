// Command peer is one end of connections, for tests of what leads into a container and out of it.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	args := os.Args[1:]
	switch args[0] {
	case "ask": // ADDRESS TEXT: say TEXT, end that direction, and print what comes
		fmt.Println(ask(args[1], args[2]))
	case "many": // ADDRESS N: ask N times at once
		n, _ := strconv.Atoi(args[2]) // the test says a number
		var all sync.WaitGroup
		answers := make([]string, n)
		for i := range n {
			all.Go(func() { answers[i] = ask(args[1], "x") })
		}
		all.Wait()
		good := 0
		for _, a := range answers {
			if a == answers[0] {
				good++
			}
		}
		fmt.Println(good, answers[0])
	case "flood": // ADDRESS BYTES: send so many, and print what comes
		n, _ := strconv.Atoi(args[2]) // as above
		fmt.Println(ask(args[1], string(make([]byte, n))))
	case "ping": // ADDRESS N: send a byte and wait for one, N times; print the median of the times
		conn, err := net.Dial("tcp", args[1])
		if err != nil {
			fmt.Println(err)
			return
		}
		n, _ := strconv.Atoi(args[2]) // as above
		times := make([]time.Duration, n)
		for i := range times {
			began := time.Now()
			_, _ = conn.Write([]byte{1})              // the time shows it
			_, _ = io.ReadFull(conn, make([]byte, 1)) // the same
			times[i] = time.Since(began)
		}
		slices.Sort(times)
		fmt.Println(times[n/2].Nanoseconds())
	case "pull": // ADDRESS: read all
		conn, err := net.Dial("tcp", args[1])
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
		}
		fmt.Println(err)
	case "zeros": // BYTES: write so many to standard output
		n, _ := strconv.ParseInt(args[1], 10, 64) // as above
		_, _ = io.CopyN(os.Stdout, zeros{}, n)    // the test counts them
	case "sink": // read standard input to its end
		_, _ = io.Copy(io.Discard, os.Stdin) // the test sees the end
	case "look": // NAME: print its addresses
		got, err := net.DefaultResolver.LookupHost(context.Background(), args[1])
		var dns *net.DNSError
		fmt.Println(got, errors.As(err, &dns) && dns.IsNotFound)
	case "listen": // PORT: answer each connection with its first line, and what follows
		l, err := net.Listen("tcp", ":"+args[1])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				line, _ := r.ReadString('\n') // the test compares it
				fmt.Fprintf(conn, "got %s", line)
				if line == "reset\n" {
					_ = conn.(*net.TCPConn).SetLinger(0) // the test sees it
					return
				}
				_, _ = io.Copy(conn, r) // as above
			}()
		}
	}
}

func ask(address, text string) string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return problem(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return problem(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return problem(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return problem(err)
	}
	return string(answer)
}

// zeros are without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func problem(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ENOTCONN):
		return "reset"
	}
	return err.Error()
}
