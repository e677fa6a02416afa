// The echo server as one writes it in Go: a goroutine for each connection.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"
)

const (
	compute = 0xFE
	block   = 0xFD
	sink    = 0xFC
)

func main() {
	withDeadline := false
	for _, argument := range os.Args[1:] {
		withDeadline = withDeadline || argument == "deadline"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	go accept(listener, withDeadline)
	control()
}

func accept(listener net.Listener, withDeadline bool) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			fail(err)
		}
		go func() {
			if err := serve(conn, withDeadline); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

func serve(conn net.Conn, withDeadline bool) error {
	defer conn.Close()
	buffer := make([]byte, 16*1024)
	for {
		if withDeadline {
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				return err
			}
		}
		n, err := conn.Read(buffer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch buffer[0] {
		case compute:
			perform()
		case block:
			time.Sleep(20 * time.Millisecond)
		case sink:
			return drain(conn, uint64(n))
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return err
		}
	}
}

func drain(conn net.Conn, received uint64) error {
	buffer := make([]byte, 64*1024)
	for {
		n, err := conn.Read(buffer)
		received += uint64(n)
		if errors.Is(err, io.EOF) {
			return binary.Write(conn, binary.LittleEndian, received)
		}
		if err != nil {
			return err
		}
	}
}

// The same dependent chain in every peer: about 1 ms of one core.
func perform() {
	x := uint64(88172645463325252)
	for i := 0; i < 400000; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if x == 0 {
		panic("never: keeps the compiler from dropping the loop")
	}
}

// One line asks, one answers; the end of the input ends the peer.
func control() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "collect" {
			runtime.GC()
		}
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		fmt.Printf("{\"allocated\":%d,\"managed\":%d}\n", memory.TotalAlloc, memory.HeapAlloc+memory.StackInuse)
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
