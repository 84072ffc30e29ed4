// The consumer of all contestants: calls StreamUsers or BatchUsers, counts, and prints what it saw as one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // decompresses what comes compressed
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	pb "userstream/v1"
)

const largestMessageBytes = 64 << 20

var (
	target     = flag.String("target", "", "host:port")
	method     = flag.String("method", "stream", "stream or batch")
	perMessage = flag.Int("users-per-message", 0, "max_users_per_message of stream, batch_size of batch")
	limit      = flag.Int64("limit", 0, "the most users a call; 0 for all")
	fields     = flag.String("fields", "", "paths of the read_mask, with commas between; empty for all fields")
	compress   = flag.String("compression", "", "gzip, or empty for none")
	parallel   = flag.Int("parallel", 1, "consumers at once, each with a connection of its own")
	repeat     = flag.Int("repeat", 1, "calls, one after the other, of each consumer")
	firstOnly  = flag.Bool("first-only", false, "cancel each call after its first message")
	check      = flag.Bool("check", false, "reckon the CRC-32 of all user_ids and hold it against the receipt")
	stalled    = flag.Int("stalled", 0, "open this many streams, read one message of each, then wait for the end of stdin")
)

// call is what one call saw.
type call struct {
	Users        int64   `json:"users"`
	Messages     int64   `json:"messages"`
	FirstSeconds float64 `json:"first_seconds"`
	Seconds      float64 `json:"seconds"`
	CRC32        uint32  `json:"crc32"`
	Receipt      string  `json:"receipt"` // "none", "right" or "wrong"
}

// response is what StreamUsersResponse and BatchUsersResponse have in common.
type response interface {
	GetUsers() []*pb.User
	GetReceipt() *pb.StreamReceipt
}

func readMask() *fieldmaskpb.FieldMask {
	if *fields == "" {
		return nil
	}
	return &fieldmaskpb.FieldMask{Paths: strings.Split(*fields, ",")}
}

// open starts a call and returns how to receive from it.
func open(ctx context.Context, client pb.UserServiceClient) (func() (response, error), error) {
	if *compress != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-userstream-compression", *compress)
	}
	if *method == "batch" {
		everyone := int64(-1)
		stream, err := client.BatchUsers(ctx, &pb.BatchUsersRequest{
			BatchSize: int32(*perMessage), Limit: *limit, ReadMask: readMask(),
			Filter: &pb.UserFilter{AgeOver: &everyone}})
		if err != nil {
			return nil, err
		}
		return func() (response, error) { return stream.Recv() }, nil
	}
	stream, err := client.StreamUsers(ctx, &pb.StreamUsersRequest{
		MaxUsersPerMessage: int32(*perMessage), Limit: *limit, ReadMask: readMask()})
	if err != nil {
		return nil, err
	}
	return func() (response, error) { return stream.Recv() }, nil
}

// consume makes one call and reads it to the end.
func consume(client pb.UserServiceClient) (call, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := call{Receipt: "none"}
	begin := time.Now()
	receive, err := open(ctx, client)
	for err == nil {
		var message response
		if message, err = receive(); err != nil {
			break
		}
		seen.add(message, begin)
		if *firstOnly {
			break
		}
	}
	seen.Seconds = time.Since(begin).Seconds()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return seen, err
}

func (seen *call) add(message response, begin time.Time) {
	if seen.Messages == 0 {
		seen.FirstSeconds = time.Since(begin).Seconds()
	}
	seen.Messages++
	users := message.GetUsers()
	seen.Users += int64(len(users))
	if !*check {
		return
	}
	for _, user := range users {
		seen.CRC32 = crc32.Update(seen.CRC32, crc32.IEEETable, []byte(user.GetUserId()))
	}
	if receipt := message.GetReceipt(); receipt != nil {
		seen.Receipt = "wrong"
		if receipt.GetUserCount() == seen.Users && receipt.GetUserIdCrc32() == seen.CRC32 {
			seen.Receipt = "right"
		}
	}
}

// connect opens a connection; windowBytes fixes the HTTP/2 window, 0 leaves it to grpc-go.
func connect(windowBytes int32) *grpc.ClientConn {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestMessageBytes)),
	}
	if windowBytes > 0 {
		options = append(options, grpc.WithInitialWindowSize(windowBytes))
	}
	connection, err := grpc.NewClient(*target, options...)
	if err != nil {
		log.Fatal(err)
	}
	connection.Connect()
	for state := connection.GetState(); state.String() != "READY"; state = connection.GetState() {
		if !connection.WaitForStateChange(context.Background(), state) {
			log.Fatal("not connected")
		}
	}
	return connection
}

// stall opens streams that nobody reads, and holds them until stdin ends.
func stall(count int) {
	const streamsPerConnection, windowBytes = 100, 65_535
	var client pb.UserServiceClient
	for number := range count {
		if number%streamsPerConnection == 0 {
			client = pb.NewUserServiceClient(connect(windowBytes))
		}
		receive, err := open(context.Background(), client)
		if err == nil {
			_, err = receive()
		}
		if err != nil {
			log.Fatalf("stream %d: %v", number, err)
		}
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		log.Fatal(err)
	}
}

func main() {
	flag.Parse()
	if *stalled > 0 {
		stall(*stalled)
		return
	}
	connections := make([]*grpc.ClientConn, *parallel)
	for n := range connections {
		connections[n] = connect(0)
	}
	calls := make([][]call, *parallel)
	var group sync.WaitGroup
	begin := time.Now()
	for n := range *parallel {
		group.Go(func() {
			for range *repeat {
				seen, err := consume(pb.NewUserServiceClient(connections[n]))
				if err != nil {
					log.Fatal(err)
				}
				calls[n] = append(calls[n], seen)
			}
		})
	}
	group.Wait()
	seconds := time.Since(begin).Seconds()
	flat := []call{}
	for _, one := range calls {
		flat = append(flat, one...)
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"seconds": seconds, "calls": flat}); err != nil {
		log.Fatal(err)
	}
}
