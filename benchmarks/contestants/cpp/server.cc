// The contestant in C++ as one would write it: grpc++'s synchronous API, libmariadb unbuffered, protobuf objects, one
// query a call. Prints its port.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "database.h"
#include "userstream/v1/user_service.grpc.pb.h"

namespace {

namespace pb = userstream::v1;

constexpr int kDefaultBatchSize = 1000;

struct Closer {
  void operator()(MYSQL* connection) const { mysql_close(connection); }
  void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using Connection = std::unique_ptr<MYSQL, Closer>;
using Result = std::unique_ptr<MYSQL_RES, Closer>;

// Begins the query; its rows come unbuffered, as they are fetched.
Result SelectUsers(MYSQL* connection, int64_t limit) {
  std::string query = SELECT_USERS " ORDER BY user_id";
  if (limit > 0) query += " LIMIT " + std::to_string(limit);
  if (!connection || mysql_real_query(connection, query.data(), query.size())) return nullptr;
  return Result(mysql_use_result(connection));
}

void SetUser(pb::User* user, MYSQL_ROW row, const unsigned long* lengths) {
  user->set_user_id(row[USER_ID], lengths[USER_ID]);
  user->set_name(row[NAME], lengths[NAME]);
  user->set_email(row[EMAIL], lengths[EMAIL]);
  user->set_age(std::strtoll(row[AGE], nullptr, 10));
}

template <typename Response>
grpc::Status SendUsers(int64_t limit, int users_per_message, grpc::ServerWriter<Response>* writer) {
  Connection connection(connect_to_database());
  Result result = SelectUsers(connection.get(), limit);
  if (!result) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "no rows from the database");
  Response response;
  while (MYSQL_ROW row = mysql_fetch_row(result.get())) {
    SetUser(response.add_users(), row, mysql_fetch_lengths(result.get()));
    if (response.users_size() < users_per_message) continue;
    if (!writer->Write(response)) return grpc::Status::CANCELLED;
    response.clear_users();
  }
  if (mysql_errno(connection.get())) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "rows are missing");
  if (response.users_size() > 0) writer->Write(response);
  return grpc::Status::OK;
}

class Service final : public pb::UserService::Service {
 public:
  // Sends each user as it comes.
  grpc::Status StreamUsers(grpc::ServerContext*, const pb::StreamUsersRequest* request,
                           grpc::ServerWriter<pb::StreamUsersResponse>* writer) override {
    return SendUsers(request->limit(), 1, writer);
  }

  // Sends users batch by batch.
  grpc::Status BatchUsers(grpc::ServerContext*, const pb::BatchUsersRequest* request,
                          grpc::ServerWriter<pb::BatchUsersResponse>* writer) override {
    int size = request->batch_size() > 0 ? request->batch_size() : kDefaultBatchSize;
    return SendUsers(request->limit(), size, writer);
  }
};

}  // namespace

int main() {
  mysql_library_init(0, nullptr, nullptr);
  Service service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) return 1;
  std::cout << port << std::endl;
  server->Wait();
}
