// What to check before a result counts as complete: docs/clients.md as code.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include "userstream/v1/user_service.pb.h"

// The answer is not what the service promises; calling again in silence would hide it.
struct IntegrityError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline uint32_t Crc(uint32_t crc, const std::string& text) {
  return static_cast<uint32_t>(crc32(crc, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
}

// Count, CRC-32 and order of a scan, across all its attempts.
class Verifier {
 public:
  // limit: the most users; 0 for all.
  explicit Verifier(int64_t limit = 0) : limit_(limit) {}

  // Whether another call would bring nothing.
  bool complete() const { return receipt_ || (limit_ > 0 && count_ == limit_); }
  int resumed_count() const { return receipt_ ? receipt_->resumed_count() : 0; }

  // Notes where an attempt begins; it counts as a resume once it brings a message.
  void BeginAttempt(const std::string& token) { resumed_now_ = !token.empty(); }

  // Checks one message and counts its users.
  template <class Message>
  void Add(const Message& message) {
    if (receipt_) throw IntegrityError("a message came after the receipt");
    resumes_ += resumed_now_;
    resumed_now_ = false;
    if (limit_ > 0 && count_ + message.users_size() > limit_) throw IntegrityError("more users came than the limit");
    const bool bytewise = message.key_order() == userstream::v1::KEY_ORDER_UNSPECIFIED;
    std::unordered_set<std::string> known{last_id_};
    for (const auto& user : message.users()) {
      const std::string& id = user.user_id();
      // std::string compares byte by byte.
      if (!known.insert(id).second || (bytewise && id <= last_id_)) throw IntegrityError("a user came out of order, or twice");
      last_id_ = id;
      count_ += 1;
      crc_ = Crc(crc_, id);
    }
  }

  // Compares the receipt with what came.
  void Close(const userstream::v1::StreamReceipt& receipt) {
    if (receipt.user_count() != count_ || receipt.user_id_crc32() != crc_)
      throw IntegrityError("the receipt's count or CRC-32 is not that of the users received");
    if (receipt.consistency() != userstream::v1::CONSISTENCY_LIVE)
      throw IntegrityError("the receipt names another consistency than was requested");
    if (receipt.resumed_count() < resumes_) throw IntegrityError("the receipt counts fewer resumes than there were");
    receipt_ = receipt;
  }

 private:
  const int64_t limit_;
  int64_t count_ = 0;
  uint32_t crc_ = 0;
  std::string last_id_;
  int resumes_ = 0;
  bool resumed_now_ = false;
  std::optional<userstream::v1::StreamReceipt> receipt_;
};
