// When to call again, and after how long: docs/clients.md as code.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

#include "error_details.pb.h"

using Seconds = std::chrono::duration<double>;

// Why a call ended, with the details that the service gave.
struct CallError : std::runtime_error {
  CallError(grpc::StatusCode status_code, const std::string& text) : std::runtime_error(text), code(status_code) {}

  // Returns what a status says, its details decoded.
  static CallError Of(const grpc::Status& status) {
    CallError found(status.error_code(), status.error_message());
    google::rpc::Status rich;
    if (!rich.ParseFromString(status.error_details())) return found;  // Damaged details are none.
    for (const auto& detail : rich.details()) found.Take(detail);
    return found;
  }

  // Whether another call may succeed. The text decides nothing: every library has its own.
  bool CallsAgain() const {
    switch (code) {
      case grpc::StatusCode::UNAVAILABLE:
      case grpc::StatusCode::ABORTED:
      case grpc::StatusCode::DEADLINE_EXCEEDED:
        return true;
      case grpc::StatusCode::RESOURCE_EXHAUSTED:
        return reason.empty() || retry_delay.has_value();
      case grpc::StatusCode::INTERNAL:
      case grpc::StatusCode::UNKNOWN:
      case grpc::StatusCode::CANCELLED:
        return reason.empty();
      default:
        return false;
    }
  }

  std::string CodeName() const {
    static const char* const names[] = {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
        "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
        "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};
    return names[code];
  }

  grpc::StatusCode code;
  std::string reason;
  std::optional<Seconds> retry_delay;
  std::map<std::string, std::string> field_violations;

 private:
  void Take(const google::protobuf::Any& detail) {
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    google::rpc::BadRequest bad;
    if (detail.UnpackTo(&info)) reason = info.reason();
    if (detail.UnpackTo(&retry)) retry_delay = Seconds(retry.retry_delay().seconds() + retry.retry_delay().nanos() / 1e9);
    if (!detail.UnpackTo(&bad)) return;
    for (const auto& violation : bad.field_violations()) field_violations[violation.field()] = violation.description();
  }
};

// The attempts of one call, and what is left of the caller's own limit.
class Attempts {
 public:
  // timeout: of the whole call; 0 for none.
  Attempts(Seconds timeout, Seconds backoff_max) : backoff_max_(backoff_max) {
    using Clock = std::chrono::system_clock;
    if (timeout > Seconds::zero()) deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(timeout);
  }

  const std::optional<std::chrono::system_clock::time_point>& deadline() const { return deadline_; }

  // Begins a new count: a message came.
  void Progressed() { failed_ = 0; }

  // Waits before the next attempt, or throws the error if there must be none.
  void WaitAfter(const CallError& error) {
    failed_ += 1;
    if (!error.CallsAgain() || failed_ >= kAttemptsMax) throw error;
    const double longest = std::min(backoff_max_.count(), kFirstBackoffSeconds * (1 << (failed_ - 1)));
    const Seconds wait = Seconds(std::uniform_real_distribution<>(0, longest)(random_)) + error.retry_delay.value_or(Seconds::zero());
    if (deadline_ && std::chrono::system_clock::now() + wait >= *deadline_)
      throw CallError(grpc::StatusCode::DEADLINE_EXCEEDED, std::string("the time limit is over; before: ") + error.what());
    std::cerr << "calling again in " << wait.count() << " s after " << error.CodeName() << ": " << error.what() << "\n";
    std::this_thread::sleep_for(wait);
  }

 private:
  static constexpr int kAttemptsMax = 15;
  static constexpr double kFirstBackoffSeconds = 0.1;

  Seconds backoff_max_;
  std::optional<std::chrono::system_clock::time_point> deadline_;
  int failed_ = 0;
  std::mt19937 random_{std::random_device{}()};
};
