// Calls that continue after a break, verified.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "call_again.hpp"
#include "userstream/v1/user_service.grpc.pb.h"
#include "verify.hpp"

namespace pb = userstream::v1;

// Ends a call that brings no message for too long. gRPC has no limit of its own for that.
class Silence {
 public:
  Silence(grpc::ClientContext& context, Seconds longest) : context_(context), longest_(longest) {}
  ~Silence() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    changed_.notify_one();
    watch_.join();
  }

  // Waits for a message; the time between two calls of Read does not count.
  template <class Reader, class Message>
  bool Read(Reader& reader, Message* message) {
    Set(true);
    const bool read = reader.Read(message);
    Set(false);
    return read;
  }

  bool fired() {
    std::lock_guard<std::mutex> lock(mutex_);
    return fired_;
  }

 private:
  void Set(bool waiting) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      waiting_ = waiting;
      waits_ += 1;
    }
    changed_.notify_one();
  }

  void Watch() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!over_) {
      const int wait = waits_;
      const bool changed = changed_.wait_for(lock, longest_, [&] { return over_ || waits_ != wait; });
      if (changed || !waiting_) continue;
      fired_ = true;
      context_.TryCancel();
    }
  }

  grpc::ClientContext& context_;
  const Seconds longest_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int waits_ = 0;
  bool waiting_ = false, over_ = false, fired_ = false;
  std::thread watch_{&Silence::Watch, this};
};

// Reads users from USERSTREAM_TARGET, with USERSTREAM_TOKEN and USERSTREAM_TLS_CA where they are set.
class Client {
 public:
  using Stub = pb::UserService::Stub;
  // Takes the users of a message.
  using Deliver = std::function<void(const google::protobuf::RepeatedPtrField<pb::User>&)>;

  // timeout: of each whole call, 0 for none; message_timeout: the longest wait for a message.
  Client(Seconds timeout, Seconds message_timeout, Seconds backoff_max)
      : timeout_(timeout), message_timeout_(message_timeout), backoff_max_(backoff_max), stub_(Connect()) {}

  // Reads StreamUsers, resumed until all users have come.
  void Stream(pb::StreamUsersRequest request, Verifier& verifier, const Deliver& deliver) {
    Scan<pb::StreamUsersResponse>(request, verifier, deliver, [&request](Stub& stub, grpc::ClientContext* context) {
      return stub.StreamUsers(context, request);
    });
  }

  // Reads BatchUsers, resumed until all batches have come.
  void Batches(pb::BatchUsersRequest request, Verifier& verifier, const Deliver& deliver) {
    Scan<pb::BatchUsersResponse>(request, verifier, deliver, [&request](Stub& stub, grpc::ClientContext* context) {
      return stub.BatchUsers(context, request);
    });
  }

  // Reads page by page; the next one is read from the database when it is asked for.
  void Pages(pb::PaginateRequest request, Verifier& verifier, const Deliver& deliver) {
    request.set_page_limit(1);
    do {
      std::vector<pb::PaginateResponse> pages;
      Messages<pb::PaginateResponse>(
          [&](Stub& stub, grpc::ClientContext* context) { return stub.Paginate(context, request); },
          [&](const pb::PaginateResponse& page) { pages.push_back(page); }, [] { return false; });
      if (pages.size() != 1) throw IntegrityError("the answer is not one page");
      verifier.Add(pages[0]);
      deliver(pages[0].users());
      request.set_page_token(pages[0].next_page_token());
      request.set_offset(0);
    } while (!request.page_token().empty());
  }

  // Reads figures about once a second; the last ones are final and exact.
  void RunningAverage(pb::StreamAverageAgeRequest request, const std::function<void(const pb::StreamAverageAgeResponse&)>& take) {
    bool final = false;
    Messages<pb::StreamAverageAgeResponse>(
        [&](Stub& stub, grpc::ClientContext* context) { return stub.StreamAverageAge(context, request); },
        [&](const pb::StreamAverageAgeResponse& figures) {
          request.set_resume_token(figures.resume_token());
          final = figures.final();
          take(figures);
        },
        [&] { return final; });
    if (!final) throw IntegrityError("the final figures never came");
  }

  // Returns the exact average.
  pb::AverageAgeResponse Average(const pb::AverageAgeRequest& request) {
    Attempts attempts(timeout_, backoff_max_);
    for (;;) {
      grpc::ClientContext context;
      Prepare(context, attempts);
      pb::AverageAgeResponse response;
      const grpc::Status status = stub_->AverageAge(&context, request, &response);
      if (status.ok()) return response;
      attempts.WaitAfter(CallError::Of(status));
    }
  }

 private:
  template <class Response, class Request, class Start>
  void Scan(Request& request, Verifier& verifier, const Deliver& deliver, const Start& start) {
    Messages<Response>(
        [&](Stub& stub, grpc::ClientContext* context) {
          verifier.BeginAttempt(request.resume_token());
          return start(stub, context);
        },
        [&](const Response& message) {
          verifier.Add(message);
          if (!message.resume_token().empty()) request.set_resume_token(message.resume_token());
          if (message.has_receipt()) verifier.Close(message.receipt());
          deliver(message.users());
        },
        [&] { return verifier.complete(); });
    if (!verifier.complete()) throw IntegrityError("the stream ended without its receipt: users may be missing");
  }

  // Hands on the messages of a stream, over as many attempts as it takes.
  template <class Response, class Start, class Take, class Done>
  void Messages(const Start& start, const Take& take, const Done& done) {
    Attempts attempts(timeout_, backoff_max_);
    while (!done()) {
      try {
        return Attempt<Response>(attempts, start, take);
      } catch (const CallError& error) {
        if (!done()) attempts.WaitAfter(error);
      }
    }
  }

  template <class Response, class Start, class Take>
  void Attempt(Attempts& attempts, const Start& start, const Take& take) {
    grpc::ClientContext context;
    Prepare(context, attempts);
    auto reader = start(*stub_, &context);
    Silence silence(context, message_timeout_);
    Response message;
    try {
      while (silence.Read(*reader, &message)) {
        attempts.Progressed();
        take(message);
      }
    } catch (...) {
      context.TryCancel();  // This ends the call at the server.
      reader->Finish();
      throw;
    }
    const grpc::Status status = reader->Finish();
    if (status.ok()) return;
    if (!silence.fired()) throw CallError::Of(status);
    stub_ = Connect();  // gRPC may take the silent connection for a live one.
    throw CallError(grpc::StatusCode::DEADLINE_EXCEEDED, "no message came for too long");
  }

  static void Prepare(grpc::ClientContext& context, const Attempts& attempts) {
    if (attempts.deadline()) context.set_deadline(*attempts.deadline());
    const char* token = std::getenv("USERSTREAM_TOKEN");
    if (token) context.AddMetadata("authorization", std::string("Bearer ") + token);
  }

  static std::unique_ptr<Stub> Connect() {
    const char* target = std::getenv("USERSTREAM_TARGET");
    const char* authority = std::getenv("USERSTREAM_TLS_CA");
    grpc::ChannelArguments options;
    options.SetMaxReceiveMessageSize(64 * 1024 * 1024);
    options.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    options.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
    options.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    options.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // Or a new channel would get the old connection.
    const auto credentials = authority ? grpc::SslCredentials({ReadFile(authority), "", ""}) : grpc::InsecureChannelCredentials();
    return pb::UserService::NewStub(grpc::CreateCustomChannel(target ? target : "127.0.0.1:50051", credentials, options));
  }

  static std::string ReadFile(const std::string& path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  const Seconds timeout_, message_timeout_, backoff_max_;
  std::unique_ptr<Stub> stub_;
};
