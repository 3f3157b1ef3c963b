// Waits to be stopped. With arguments it does one small thing, for tests of what a pod can see:
//
//	pause                  wait for SIGTERM
//	pause serve :PORT TEXT answer every request with TEXT
//	pause get URL          print what it answers; 1 if it does not
//	pause resolve NAME     print its addresses; 1 if there are none
//	pause read FILE        print a file
//	pause fail CODE TEXT   write TEXT as the termination message and exit with CODE
//	pause hold MIB         take memory, then wait
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		wait()
		return
	}
	if err := act(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func act(verb string, arguments []string) error {
	if needed := map[string]int{"serve": 2, "get": 1, "resolve": 1, "read": 1, "fail": 2, "hold": 1}[verb]; needed != len(arguments) || needed == 0 {
		return fmt.Errorf("no such command: %s %s", verb, strings.Join(arguments, " "))
	}
	switch verb {
	case "serve":
		return serve(arguments[0], arguments[1])
	case "get":
		client := http.Client{Timeout: 10 * time.Second}
		answer, err := client.Get(arguments[0])
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
			return err
		}
		if answer.StatusCode >= 400 {
			return fmt.Errorf("%s", answer.Status)
		}
	case "resolve":
		addresses, err := net.LookupHost(arguments[0])
		if err != nil {
			return err
		}
		fmt.Println(strings.Join(addresses, "\n"))
	case "read":
		content, err := os.ReadFile(arguments[0])
		if err != nil {
			return err
		}
		os.Stdout.Write(content)
	case "fail":
		code, err := strconv.Atoi(arguments[0])
		if err != nil {
			return err
		}
		if err := os.WriteFile("/dev/termination-log", []byte(arguments[1]), 0o644); err != nil {
			return err
		}
		os.Exit(code)
	case "hold":
		mib, err := strconv.Atoi(arguments[0])
		if err != nil {
			return err
		}
		held := make([]byte, mib<<20)
		for at := 0; at < len(held); at += 4096 {
			held[at] = 1
		}
		wait()
		fmt.Println(len(held))
	}
	return nil
}

// serve stops at SIGTERM, when what it is answering has been answered.
func serve(address, text string) error {
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, text)
	})}
	go func() {
		wait()
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// wait returns at SIGTERM or SIGINT; as the first process of a pod's process namespace it reaps the others.
func wait() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
