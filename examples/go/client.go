package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	pb "userstream/v1"
)

const largestMessageBytes = 64 << 20

// client makes calls that continue after a break, verified.
type client struct {
	timeout        time.Duration // 0 for none
	messageTimeout time.Duration
	backoffMax     time.Duration
	connection     *grpc.ClientConn
}

// receive returns the next message of an attempt, and io.EOF at its end.
type receive[Message any] func() (Message, error)

// scanMessage is what messages of StreamUsers and BatchUsers have in common.
type scanMessage interface {
	GetUsers() []*pb.User
	GetKeyOrder() pb.KeyOrder
	GetResumeToken() string
	GetReceipt() *pb.StreamReceipt
}

func (c *client) service() pb.UserServiceClient { return pb.NewUserServiceClient(c.connection) }

// scan reads StreamUsers or BatchUsers, resumed until all users have come. open starts an attempt at a token.
func scan[Message scanMessage](ctx context.Context, c *client, v *verifier,
	open func(context.Context, string) (receive[Message], error), deliver func([]*pb.User) error) error {
	token := ""
	begin := func(ctx context.Context) (receive[Message], error) {
		v.beginAttempt(token)
		return open(ctx, token)
	}
	err := messages(ctx, c, begin, v.complete, func(message Message) error {
		if err := v.add(message.GetUsers(), message.GetKeyOrder()); err != nil {
			return err
		}
		if next := message.GetResumeToken(); next != "" {
			token = next
		}
		if receipt := message.GetReceipt(); receipt != nil {
			if err := v.close(receipt); err != nil {
				return err
			}
		}
		return deliver(message.GetUsers())
	})
	if err == nil && !v.complete() {
		return integrityError("the stream ended without its receipt: users may be missing")
	}
	return err
}

// pages reads page by page; the next one is read from the database when it is asked for.
func (c *client) pages(ctx context.Context, request *pb.PaginateRequest, v *verifier, deliver func([]*pb.User) error) error {
	request.PageLimit = 1
	for {
		var page *pb.PaginateResponse
		open := func(ctx context.Context) (receive[*pb.PaginateResponse], error) {
			stream, err := c.service().Paginate(ctx, request)
			if err != nil {
				return nil, err
			}
			return stream.Recv, nil
		}
		err := messages(ctx, c, open, never, func(message *pb.PaginateResponse) error {
			if page != nil {
				return integrityError("the answer is more than one page")
			}
			page = message
			return nil
		})
		if err == nil && page == nil {
			err = integrityError("the answer is no page")
		}
		if err == nil {
			err = v.add(page.GetUsers(), page.GetKeyOrder())
		}
		if err == nil {
			err = deliver(page.GetUsers())
		}
		if err != nil || page.GetNextPageToken() == "" {
			return err
		}
		request.PageToken, request.Offset = page.GetNextPageToken(), 0
	}
}

// runningAverage reads figures about once a second; the last ones are final and exact.
func (c *client) runningAverage(ctx context.Context, request *pb.StreamAverageAgeRequest, deliver func(*pb.StreamAverageAgeResponse)) error {
	final := false
	open := func(ctx context.Context) (receive[*pb.StreamAverageAgeResponse], error) {
		stream, err := c.service().StreamAverageAge(ctx, request)
		if err != nil {
			return nil, err
		}
		return stream.Recv, nil
	}
	err := messages(ctx, c, open, func() bool { return final }, func(figures *pb.StreamAverageAgeResponse) error {
		request.ResumeToken, final = figures.GetResumeToken(), figures.GetFinal()
		deliver(figures)
		return nil
	})
	if err == nil && !final {
		return integrityError("the final figures never came")
	}
	return err
}

// average returns the exact average.
func (c *client) average(ctx context.Context, request *pb.AverageAgeRequest) (*pb.AverageAgeResponse, error) {
	ctx, tries, end := c.limited(ctx)
	defer end()
	for {
		response, err := c.service().AverageAge(ctx, request)
		if err == nil {
			return response, nil
		}
		if err := tries.waitAfter(callErrorOf(err)); err != nil {
			return nil, err
		}
	}
}

func never() bool { return false }

// messages hands on the messages of a stream, over as many attempts as it takes.
func messages[Message any](ctx context.Context, c *client, open func(context.Context) (receive[Message], error),
	done func() bool, take func(Message) error) error {
	ctx, tries, end := c.limited(ctx)
	defer end()
	for !done() {
		err := attempt(ctx, c, open, func(message Message) error {
			tries.progressed()
			return take(message)
		})
		var failure *callError
		if !errors.As(err, &failure) {
			return err
		}
		if ctx.Err() == context.Canceled {
			return context.Canceled // By the caller: not to be called again.
		}
		if done() {
			return nil
		}
		if err := tries.waitAfter(failure); err != nil {
			return err
		}
	}
	return nil
}

// attempt makes one attempt. A wait for a message that is too long ends it.
func attempt[Message any](ctx context.Context, c *client, open func(context.Context) (receive[Message], error), take func(Message) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // However this ends, the call ends at the server.
	silence := time.AfterFunc(c.messageTimeout, func() { cancel(errSilent) })
	defer silence.Stop()
	next, err := open(ctx)
	for err == nil {
		silence.Reset(c.messageTimeout)
		var message Message
		if message, err = next(); err == nil {
			silence.Stop()
			if err := take(message); err != nil {
				return err
			}
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if context.Cause(ctx) == errSilent {
		// grpc-go may take the silent connection for a live one.
		if err := c.connect(); err != nil {
			return err
		}
		return errSilent
	}
	return callErrorOf(err)
}

var errSilent = &callError{code: codes.DeadlineExceeded, message: "no message came for too long"}

// limited returns the context of a whole call, with its deadline and token, and its attempts.
func (c *client) limited(ctx context.Context) (context.Context, *attempts, context.CancelFunc) {
	if token := os.Getenv("USERSTREAM_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	tries := &attempts{backoffMax: c.backoffMax}
	if c.timeout == 0 {
		return ctx, tries, func() {}
	}
	tries.deadline = time.Now().Add(c.timeout)
	ctx, cancel := context.WithDeadline(ctx, tries.deadline)
	return ctx, tries, cancel
}

// connect opens a connection to USERSTREAM_TARGET, with TLS if USERSTREAM_TLS_CA is set.
func (c *client) connect() error {
	target := os.Getenv("USERSTREAM_TARGET")
	if target == "" {
		target = "127.0.0.1:50051"
	}
	transport := insecure.NewCredentials()
	if file := os.Getenv("USERSTREAM_TLS_CA"); file != "" {
		authority, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(authority) {
			return errors.New(file + " has no certificate")
		}
		transport = credentials.NewTLS(&tls.Config{RootCAs: pool})
	}
	reconnect := backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}
	connection, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestMessageBytes)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 2 * time.Second}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 60 * time.Second}),
		grpc.WithDisableRetry())
	if err != nil {
		return err
	}
	if c.connection != nil {
		c.connection.Close()
	}
	c.connection = connection
	return nil
}
