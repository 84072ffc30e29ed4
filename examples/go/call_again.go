package main

import (
	"fmt"
	"math/rand"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// When to call again, and after how long: docs/clients.md as code.
const (
	attemptsMax  = 15
	firstBackoff = 100 * time.Millisecond
)

var (
	always           = map[codes.Code]bool{codes.Unavailable: true, codes.Aborted: true, codes.DeadlineExceeded: true}
	withoutErrorInfo = map[codes.Code]bool{codes.ResourceExhausted: true, codes.Internal: true, codes.Unknown: true, codes.Canceled: true}
	codeNames        = map[codes.Code]string{
		codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
		codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
		codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
		codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
		codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
		codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
	}
)

// callError is why a call ended, with the details that the service gave.
type callError struct {
	code       codes.Code
	message    string
	reason     string
	retryDelay *time.Duration
	violations map[string]string
}

func (e *callError) Error() string { return fmt.Sprintf("%s: %s", codeNames[e.code], e.message) }

// callErrorOf returns what an error of grpc-go says, its details decoded.
func callErrorOf(err error) *callError {
	from := status.Convert(err)
	found := &callError{code: from.Code(), message: from.Message(), violations: map[string]string{}}
	for _, detail := range from.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			found.reason = detail.GetReason()
		case *errdetails.RetryInfo:
			delay := detail.GetRetryDelay().AsDuration()
			found.retryDelay = &delay
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				found.violations[violation.GetField()] = violation.GetDescription()
			}
		}
	}
	return found
}

// callsAgain says whether another call may succeed. The text decides nothing: every library has its own.
func (e *callError) callsAgain() bool {
	switch {
	case always[e.code]:
		return true
	case e.reason == "":
		return withoutErrorInfo[e.code]
	default:
		return e.code == codes.ResourceExhausted && e.retryDelay != nil
	}
}

// attempts counts the attempts of one call, and knows what is left of the caller's own limit.
type attempts struct {
	deadline   time.Time // zero for none
	backoffMax time.Duration
	failed     int
}

// progressed begins a new count: a message came.
func (a *attempts) progressed() { a.failed = 0 }

// waitAfter waits before the next attempt, or returns the error if there must be none.
func (a *attempts) waitAfter(err *callError) error {
	a.failed++
	if !err.callsAgain() || a.failed >= attemptsMax {
		return err
	}
	longest := firstBackoff << (a.failed - 1)
	if longest > a.backoffMax {
		longest = a.backoffMax
	}
	wait := time.Duration(rand.Float64() * float64(longest))
	if err.retryDelay != nil {
		wait += *err.retryDelay
	}
	if !a.deadline.IsZero() && wait >= time.Until(a.deadline) {
		return &callError{code: codes.DeadlineExceeded, message: "the time limit is over; before: " + err.message}
	}
	fmt.Fprintf(os.Stderr, "calling again in %.3f s after %v\n", wait.Seconds(), err)
	time.Sleep(wait)
	return nil
}
