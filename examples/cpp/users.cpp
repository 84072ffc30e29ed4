// The program: users CALL [options of examples/README.md].
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "client.hpp"

namespace {

struct Cancelled {};

using Options = std::map<std::string, std::string>;

// Reads --name value and --name=value.
Options Parse(int argc, char** argv) {
  Options options{{"name-prefix", ""}, {"age-over", ""}, {"limit", "0"}, {"size", "0"}, {"timeout", "0"},
                  {"message-timeout", "60"}, {"backoff-max", "5"}, {"cancel-after", "0"}};
  for (int i = 2; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto equals = argument.find('=');
    const std::string name = argument.substr(0, equals).erase(0, 2);
    if (argument.rfind("--", 0) != 0 || !options.count(name) || (equals == std::string::npos && i + 1 == argc))
      throw std::invalid_argument("there is no option " + argument);
    options[name] = equals == std::string::npos ? argv[++i] : argument.substr(equals + 1);
  }
  return options;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const unsigned char c : text) {
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, c < 0x20 || c == '"' || c == '\\' ? "\\u%04x" : "%c", c);
    quoted += escaped;
  }
  return quoted + "\"";
}

// Prints users, and remembers which.
struct Printed {
  void operator()(const google::protobuf::RepeatedPtrField<pb::User>& users) {
    for (const auto& user : users) {
      std::cout << user.user_id() << '\t' << user.age() << '\n';
      count += 1;
      crc = Crc(crc, user.user_id());
    }
    std::cout.flush();
    if (++messages == cancel_after) throw Cancelled();
  }

  int cancel_after = 0;
  int messages = 0;
  int64_t count = 0;
  uint32_t crc = 0;
};

// Runs a call; returns how it ended, as the fields of a JSON object.
std::string Ended(const std::function<void()>& run) {
  std::ostringstream fields;
  try {
    run();
    return "\"result\": \"complete\"";
  } catch (const Cancelled&) {
    return "\"result\": \"cancelled\"";
  } catch (const IntegrityError& error) {
    fields << "\"result\": \"integrity\", \"message\": " << Quoted(error.what());
  } catch (const CallError& error) {
    fields << "\"result\": \"status\", \"code\": \"" << error.CodeName() << "\", \"reason\": " << Quoted(error.reason)
           << ", \"message\": " << Quoted(error.what()) << ", \"field_violations\": {";
    const char* separator = "";
    for (const auto& [field, description] : error.field_violations) {
      fields << separator << Quoted(field) << ": " << Quoted(description);
      separator = ", ";
    }
    fields << "}";
  }
  return fields.str();
}

pb::UserFilter FilterOf(const Options& options) {
  pb::UserFilter filter;
  filter.set_name_prefix(options.at("name-prefix"));
  if (!options.at("age-over").empty()) filter.set_age_over(std::stoll(options.at("age-over")));
  return filter;
}

template <class Request>
Request RequestOf(const Options& options) {
  Request request;
  *request.mutable_filter() = FilterOf(options);
  return request;
}

std::string ReadUsers(Client& client, const std::string& call, const Options& options) {
  const int64_t limit = std::stoll(options.at("limit"));
  const int size = std::stoi(options.at("size"));
  Verifier verifier(limit);
  Printed printed;
  printed.cancel_after = std::stoi(options.at("cancel-after"));
  const std::string ended = Ended([&] {
    if (call == "stream") {
      auto request = RequestOf<pb::StreamUsersRequest>(options);
      request.set_limit(limit);
      client.Stream(request, verifier, std::ref(printed));
    } else if (call == "batches") {
      auto request = RequestOf<pb::BatchUsersRequest>(options);
      request.set_limit(limit);
      request.set_batch_size(size);
      client.Batches(request, verifier, std::ref(printed));
    } else {
      auto request = RequestOf<pb::PaginateRequest>(options);
      request.set_page_size(size);
      client.Pages(request, verifier, std::ref(printed));
    }
  });
  std::ostringstream report;
  report << "{\"user_count\": " << printed.count << ", \"user_id_crc32\": " << printed.crc
         << ", \"resumed_count\": " << verifier.resumed_count() << ", " << ended << "}";
  return report.str();
}

std::string ReadAverage(Client& client, bool running, const Options& options) {
  std::ostringstream figures;
  const auto take = [&](const auto& found) {
    std::cout << found.user_count() << " users, average age " << found.average_age() << std::endl;
    figures.str("");
    figures << "\"user_count\": " << found.user_count() << ", \"age_sum\": " << found.age_sum() << ", ";
  };
  const std::string ended = Ended([&] {
    if (running) {
      client.RunningAverage(RequestOf<pb::StreamAverageAgeRequest>(options), take);
    } else {
      take(client.Average(RequestOf<pb::AverageAgeRequest>(options)));
    }
  });
  // Figures that are not final are not reported.
  return "{" + (ended.find("complete") == std::string::npos ? "" : figures.str()) + ended + "}";
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string call = argc > 1 ? argv[1] : "";
  const Options options = Parse(argc, argv);
  const auto seconds = [&](const char* name) { return Seconds(std::stod(options.at(name))); };
  Client client(seconds("timeout"), seconds("message-timeout"), seconds("backoff-max"));
  std::string report;
  if (call == "stream" || call == "batches" || call == "pages") {
    report = ReadUsers(client, call, options);
  } else if (call == "average" || call == "running-average") {
    report = ReadAverage(client, call == "running-average", options);
  } else {
    throw std::invalid_argument("usage: users stream|batches|pages|average|running-average [options]");
  }
  std::cerr << report << std::endl;
  return report.find("\"result\": \"c") == std::string::npos ? 1 : 0;
} catch (const std::exception& error) {
  std::cerr << "users: " << error.what() << std::endl;
  return 2;
}
