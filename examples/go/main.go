// The program: users CALL [options of examples/README.md].
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"log"
	"os"
	"strconv"
	"time"

	pb "userstream/v1"
)

var (
	flags          = flag.NewFlagSet("users", flag.ExitOnError)
	namePrefix     = flags.String("name-prefix", "", "only users whose name begins so")
	ageOver        = flags.String("age-over", "", "only users older than this, in years")
	limit          = flags.Int64("limit", 0, "the most users; 0 for all")
	size           = flags.Int("size", 0, "users in a batch or page")
	timeout        = flags.Float64("timeout", 0, "seconds for the whole call; 0 for no limit")
	messageTimeout = flags.Float64("message-timeout", 60, "the longest wait for a message, in seconds")
	backoffMax     = flags.Float64("backoff-max", 5, "the longest wait between attempts, in seconds")
	cancelAfter    = flags.Int("cancel-after", 0, "cancel after so many messages")
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: users stream|batches|pages|average|running-average [options]")
	}
	flags.Parse(os.Args[2:])
	c := &client{timeout: seconds(*timeout), messageTimeout: seconds(*messageTimeout), backoffMax: seconds(*backoffMax)}
	if err := c.connect(); err != nil {
		log.Fatal(err)
	}
	report := run(c, os.Args[1])
	line, err := json.Marshal(report)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(os.Stderr, string(line))
	if result := report["result"]; result != "complete" && result != "cancelled" {
		os.Exit(1)
	}
}

func seconds(value float64) time.Duration { return time.Duration(value * float64(time.Second)) }

func filter() *pb.UserFilter {
	where := &pb.UserFilter{NamePrefix: *namePrefix}
	if *ageOver != "" {
		age, err := strconv.ParseInt(*ageOver, 10, 64)
		if err != nil {
			log.Fatalf("--age-over takes whole years, not %q", *ageOver)
		}
		where.AgeOver = &age
	}
	return where
}

func run(c *client, call string) map[string]any {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := &printed{Writer: bufio.NewWriter(os.Stdout), cancel: cancel}
	defer out.Flush()
	v := &verifier{limit: *limit}
	switch call {
	case "stream":
		return out.report(scan(ctx, c, v, func(ctx context.Context, token string) (receive[*pb.StreamUsersResponse], error) {
			request := &pb.StreamUsersRequest{Filter: filter(), Limit: *limit, ResumeToken: token}
			stream, err := c.service().StreamUsers(ctx, request)
			if err != nil {
				return nil, err
			}
			return stream.Recv, nil
		}, out.users), v)
	case "batches":
		return out.report(scan(ctx, c, v, func(ctx context.Context, token string) (receive[*pb.BatchUsersResponse], error) {
			request := &pb.BatchUsersRequest{Filter: filter(), Limit: *limit, BatchSize: int32(*size), ResumeToken: token}
			stream, err := c.service().BatchUsers(ctx, request)
			if err != nil {
				return nil, err
			}
			return stream.Recv, nil
		}, out.users), v)
	case "pages":
		request := &pb.PaginateRequest{Filter: filter(), PageSize: int32(*size)}
		return out.report(c.pages(ctx, request, v, out.users), v)
	case "average":
		response, err := c.average(ctx, &pb.AverageAgeRequest{Filter: filter()})
		return out.average(response, err)
	case "running-average":
		var last *pb.StreamAverageAgeResponse
		err := c.runningAverage(ctx, &pb.StreamAverageAgeRequest{Filter: filter()}, func(figures *pb.StreamAverageAgeResponse) {
			last = figures
		})
		return out.average(last, err)
	}
	log.Fatalf("there is no call %q", call)
	return nil
}

// printed prints users, and remembers which.
type printed struct {
	*bufio.Writer
	cancel   context.CancelFunc
	count    int
	crc      uint32
	messages int
}

func (p *printed) users(users []*pb.User) error {
	for _, user := range users {
		fmt.Fprintf(p, "%s\t%d\n", user.GetUserId(), user.GetAge())
		p.count++
		p.crc = crc32.Update(p.crc, crc32.IEEETable, []byte(user.GetUserId()))
	}
	p.messages++
	if p.messages == *cancelAfter {
		p.cancel()
		return context.Canceled
	}
	return p.Flush()
}

func (p *printed) report(err error, v *verifier) map[string]any {
	report := ended(err)
	report["user_count"], report["user_id_crc32"] = p.count, p.crc
	report["resumed_count"] = v.receipt.GetResumedCount()
	return report
}

// figures is what both averages have in common.
type figures interface {
	GetUserCount() int64
	GetAgeSum() int64
	GetAverageAge() float64
}

func (p *printed) average(found figures, err error) map[string]any {
	report := ended(err)
	if err == nil {
		fmt.Fprintf(p, "%d users, average age %.2f\n", found.GetUserCount(), found.GetAverageAge())
		report["user_count"], report["age_sum"] = found.GetUserCount(), found.GetAgeSum()
	}
	return report
}

func ended(err error) map[string]any {
	var failure *callError
	var wrong integrityError
	switch {
	case err == nil:
		return map[string]any{"result": "complete"}
	case errors.Is(err, context.Canceled):
		return map[string]any{"result": "cancelled"}
	case errors.As(err, &failure):
		return map[string]any{
			"result": "status", "code": codeNames[failure.code], "reason": failure.reason,
			"message": failure.message, "field_violations": failure.violations,
		}
	case errors.As(err, &wrong):
		return map[string]any{"result": "integrity", "message": wrong.Error()}
	}
	return map[string]any{"result": "failed", "message": err.Error()}
}
