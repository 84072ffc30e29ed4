// The contestant in C++ tuned by hand, BatchUsers only: grpc++'s callback API, users encoded straight from the rows into
// the bytes that gRPC sends, and for each call a thread that reads ahead. Prints its port.
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "database.h"
#include "userstream/v1/user_service.grpc.pb.h"

namespace {

namespace pb = userstream::v1;

constexpr int kDefaultBatchSize = 1000;
constexpr size_t kMessagesReadAhead = 8;
constexpr size_t kUsualUserBytes = 96;

// Tags of User's fields (the number and the wire type) and of a response's field `users`.
constexpr char kUsersTag = 0x0a, kUserIdTag = 0x0a, kNameTag = 0x12, kEmailTag = 0x1a, kAgeTag = 0x20;

size_t VarintBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

char* PutVarint(char* to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
  *to++ = static_cast<char>(value);
  return to;
}

size_t TextBytes(size_t length) { return length ? 1 + VarintBytes(length) + length : 0; }

char* PutText(char* to, char tag, const char* text, size_t length) {
  if (!length) return to;
  *to++ = tag;
  to = PutVarint(to, length);
  std::memcpy(to, text, length);
  return to + length;
}

// The bytes of one response after the other, which become gRPC's without a copy.
class Encoder {
 public:
  explicit Encoder(int users_per_message) : usual_bytes_(users_per_message * kUsualUserBytes) { Begin(); }

  void Add(MYSQL_ROW row, const unsigned long* lengths) {
    const uint64_t age = static_cast<uint64_t>(std::strtoll(row[AGE], nullptr, 10));
    const size_t size = TextBytes(lengths[USER_ID]) + TextBytes(lengths[NAME]) + TextBytes(lengths[EMAIL]) +
                        (age ? 1 + VarintBytes(age) : 0);
    char user[16];
    user[0] = kUsersTag;
    bytes_->append(user, PutVarint(user + 1, size) - user);
    const size_t begin = bytes_->size();
    bytes_->resize(begin + size);
    char* to = &(*bytes_)[begin];
    to = PutText(to, kUserIdTag, row[USER_ID], lengths[USER_ID]);
    to = PutText(to, kNameTag, row[NAME], lengths[NAME]);
    to = PutText(to, kEmailTag, row[EMAIL], lengths[EMAIL]);
    if (!age) return;
    *to++ = kAgeTag;
    PutVarint(to, age);
  }

  grpc::ByteBuffer Take() {
    std::string* bytes = bytes_.release();
    Begin();
    grpc::Slice slice(bytes->data(), bytes->size(), [](void* owner) { delete static_cast<std::string*>(owner); }, bytes);
    return grpc::ByteBuffer(&slice, 1);
  }

 private:
  void Begin() {
    bytes_ = std::make_unique<std::string>();
    bytes_->reserve(usual_bytes_);
  }

  const size_t usual_bytes_;
  std::unique_ptr<std::string> bytes_;
};

// One call: its thread reads and encodes; gRPC's threads send, one message at a time.
class Sender final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  Sender(int64_t limit, int users_per_message)
      : limit_(limit), users_per_message_(users_per_message), reader_([this] { ReadAll(); }) {}

  void OnWriteDone(bool ok) override {
    std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    stopped_ |= !ok;
    changed_.notify_one();
    Proceed();
  }

  void OnCancel() override {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
  }

  void OnDone() override {
    reader_.join();
    delete this;
  }

 private:
  void ReadAll() {
    mysql_thread_init();
    MYSQL* connection = connect_to_database();
    const bool whole = connection && Read(connection);
    if (connection) mysql_close(connection);
    mysql_thread_end();
    std::lock_guard<std::mutex> lock(mutex_);
    status_ = whole ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNAVAILABLE, "rows are missing");
    read_all_ = true;
    Proceed();
  }

  bool Read(MYSQL* connection) {
    std::string query = SELECT_USERS " ORDER BY user_id";
    if (limit_ > 0) query += " LIMIT " + std::to_string(limit_);
    if (mysql_real_query(connection, query.data(), query.size())) return false;
    MYSQL_RES* result = mysql_use_result(connection);
    if (!result) return false;
    const bool wanted = Encode(result);
    mysql_free_result(result);
    return wanted && !mysql_errno(connection);
  }

  // Returns false when nobody wants more.
  bool Encode(MYSQL_RES* result) {
    Encoder encoder(users_per_message_);
    int users = 0;
    while (MYSQL_ROW row = mysql_fetch_row(result)) {
      encoder.Add(row, mysql_fetch_lengths(result));
      if (++users < users_per_message_) continue;
      if (!Queue(encoder.Take())) return false;
      users = 0;
    }
    return users == 0 || Queue(encoder.Take());
  }

  // Waits while enough is read ahead.
  bool Queue(grpc::ByteBuffer message) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || queue_.size() < kMessagesReadAhead; });
    if (stopped_) return false;
    queue_.push_back(std::move(message));
    Proceed();
    return true;
  }

  // Starts what may be started; the caller holds the mutex.
  void Proceed() {
    if (writing_ || finished_) return;
    if (!queue_.empty() && !stopped_) {
      current_ = std::move(queue_.front());
      queue_.pop_front();
      writing_ = true;
      StartWrite(&current_);
    } else if (read_all_) {
      finished_ = true;
      Finish(status_);
    }
  }

  const int64_t limit_;
  const int users_per_message_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<grpc::ByteBuffer> queue_;
  grpc::ByteBuffer current_;
  grpc::Status status_;
  bool writing_ = false, stopped_ = false, read_all_ = false, finished_ = false;
  // Last, because it begins at once and uses all of the above.
  std::thread reader_;
};

class Service final : public pb::UserService::WithRawCallbackMethod_BatchUsers<pb::UserService::Service> {
 public:
  grpc::ServerWriteReactor<grpc::ByteBuffer>* BatchUsers(grpc::CallbackServerContext*,
                                                         const grpc::ByteBuffer* bytes) override {
    pb::BatchUsersRequest request;
    grpc::ByteBuffer copy(*bytes);
    grpc::SerializationTraits<pb::BatchUsersRequest>::Deserialize(&copy, &request);
    return new Sender(request.limit(), request.batch_size() > 0 ? request.batch_size() : kDefaultBatchSize);
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
