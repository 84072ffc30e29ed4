// The contestant in Go: user_data over gRPC as one would write it with grpc-go, database/sql and go-sql-driver/mysql.
// A message a row in StreamUsers, batch_size rows a message in BatchUsers; one query and one connection a call.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log"
	"net"
	"os"

	_ "github.com/go-sql-driver/mysql"
	"google.golang.org/grpc"

	pb "userstream/v1"
)

const (
	selectUsers      = "SELECT user_id, name, email, age FROM user_data ORDER BY user_id"
	defaultBatchSize = 1000
	poolSize         = 8
)

type server struct {
	pb.UnimplementedUserServiceServer
	db *sql.DB
}

// StreamUsers sends each user as it comes.
func (s *server) StreamUsers(_ *pb.StreamUsersRequest, stream grpc.ServerStreamingServer[pb.StreamUsersResponse]) error {
	return s.eachUser(stream.Context(), func(user *pb.User) error {
		return stream.Send(&pb.StreamUsersResponse{Users: []*pb.User{user}})
	})
}

// BatchUsers sends users batch by batch.
func (s *server) BatchUsers(request *pb.BatchUsersRequest, stream grpc.ServerStreamingServer[pb.BatchUsersResponse]) error {
	size := int(request.GetBatchSize())
	if size == 0 {
		size = defaultBatchSize
	}
	batch := make([]*pb.User, 0, size)
	err := s.eachUser(stream.Context(), func(user *pb.User) error {
		batch = append(batch, user)
		if len(batch) < size {
			return nil
		}
		full := &pb.BatchUsersResponse{Users: batch}
		// Send has encoded the message when it returns, so the slice may be used again.
		defer func() { batch = batch[:0] }()
		return stream.Send(full)
	})
	if err == nil && len(batch) > 0 {
		err = stream.Send(&pb.BatchUsersResponse{Users: batch})
	}
	return err
}

func (s *server) eachUser(ctx context.Context, send func(*pb.User) error) error {
	rows, err := s.db.QueryContext(ctx, selectUsers)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		user := &pb.User{}
		if err := rows.Scan(&user.UserId, &user.Name, &user.Email, &user.Age); err != nil {
			return err
		}
		if err := send(user); err != nil {
			return err
		}
	}
	return rows.Err()
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address and port")
	flag.Parse()
	db, err := sql.Open("mysql", os.Getenv("BENCH_GO_DSN"))
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	service := grpc.NewServer()
	pb.RegisterUserServiceServer(service, &server{db: db})
	log.Fatal(service.Serve(listener))
}
