package example;

import io.userstream.v1.AverageAgeRequest;
import io.userstream.v1.AverageAgeResponse;
import io.userstream.v1.BatchUsersRequest;
import io.userstream.v1.PaginateRequest;
import io.userstream.v1.StreamAverageAgeRequest;
import io.userstream.v1.StreamAverageAgeResponse;
import io.userstream.v1.StreamUsersRequest;
import io.userstream.v1.User;
import io.userstream.v1.UserFilter;
import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.zip.CRC32;

/** The program: users CALL [options of examples/README.md]. */
public final class Users {
  private final Map<String, String> options = new HashMap<>(Map.of(
      "name-prefix", "", "age-over", "", "limit", "0", "size", "0", "timeout", "0",
      "message-timeout", "60", "backoff-max", "5", "cancel-after", "0"));
  private final PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16));
  private final Map<String, Object> report = new LinkedHashMap<>();

  // What was printed.
  private long count;
  private final CRC32 crc = new CRC32();
  private int messages;

  public static void main(String[] arguments) throws Exception {
    if (arguments.length == 0) {
      System.err.println("usage: users stream|batches|pages|average|running-average [options]");
      System.exit(2);
    }
    System.exit(new Users().run(arguments));
  }

  private int run(String[] arguments) throws Exception {
    parse(arguments);
    Duration timeout = Duration.ofMillis(millis("timeout"));
    Duration messageTimeout = Duration.ofMillis(millis("message-timeout"));
    try (Client client = new Client(timeout, messageTimeout, Double.parseDouble(options.get("backoff-max")))) {
      if (arguments[0].endsWith("average")) readAverage(client, arguments[0]);
      else readUsers(client, arguments[0]);
    }
    out.flush();
    System.err.println(json(report));
    return List.of("complete", "cancelled").contains(report.get("result")) ? 0 : 1;
  }

  private void parse(String[] arguments) {
    for (int i = 1; i < arguments.length; i++) {
      String[] parts = arguments[i].split("=", 2);
      String name = parts[0].replaceFirst("^--", "");
      if (!options.containsKey(name) || parts.length == 1 && i + 1 == arguments.length) {
        throw new IllegalArgumentException("there is no option " + arguments[i]);
      }
      options.put(name, parts.length == 2 ? parts[1] : arguments[++i]);
    }
  }

  private long millis(String option) {
    return Math.round(Double.parseDouble(options.get(option)) * 1000);
  }

  private int number(String option) {
    return Integer.parseInt(options.get(option));
  }

  private UserFilter filter() {
    UserFilter.Builder filter = UserFilter.newBuilder().setNamePrefix(options.get("name-prefix"));
    if (!options.get("age-over").isEmpty()) filter.setAgeOver(Long.parseLong(options.get("age-over")));
    return filter.build();
  }

  private interface Call {
    boolean whole() throws Exception;
  }

  /** Runs a call, and reports how it ended. */
  private void ended(Call call) throws Exception {
    try {
      report.put("result", call.whole() ? "complete" : "cancelled");
    } catch (IntegrityException error) {
      report.put("result", "integrity");
      report.put("message", error.getMessage());
    } catch (CallException error) {
      report.put("result", "status");
      report.put("code", error.code.name());
      report.put("reason", error.reason);
      report.put("message", error.getMessage());
      report.put("field_violations", error.fieldViolations);
    }
  }

  private void readUsers(Client client, String call) throws Exception {
    long limit = Long.parseLong(options.get("limit"));
    Verifier verifier = new Verifier(limit);
    ended(() -> switch (call) {
      case "stream" ->
        client.stream(StreamUsersRequest.newBuilder().setFilter(filter()).setLimit(limit), verifier, this::print);
      case "batches" -> {
        BatchUsersRequest.Builder request = BatchUsersRequest.newBuilder().setFilter(filter()).setLimit(limit);
        yield client.batches(request.setBatchSize(number("size")), verifier, this::print);
      }
      case "pages" ->
        client.pages(PaginateRequest.newBuilder().setFilter(filter()).setPageSize(number("size")), verifier, this::print);
      default -> throw new IllegalArgumentException("there is no call " + call);
    });
    report.put("user_count", count);
    report.put("user_id_crc32", crc.getValue());
    report.put("resumed_count", verifier.resumedCount());
  }

  private boolean print(List<User> users) {
    for (User user : users) {
      out.print(user.getUserId() + "\t" + user.getAge() + "\n");
      count++;
      crc.update(user.getUserId().getBytes(StandardCharsets.UTF_8));
    }
    out.flush();
    return ++messages != number("cancel-after");
  }

  private void readAverage(Client client, String call) throws Exception {
    ended(() -> {
      if (call.equals("average")) {
        AverageAgeResponse found = client.average(AverageAgeRequest.newBuilder().setFilter(filter()).build());
        print(found.getUserCount(), found.getAgeSum(), found.getAverageAge());
      } else {
        StreamAverageAgeRequest.Builder request = StreamAverageAgeRequest.newBuilder().setFilter(filter());
        StreamAverageAgeResponse found = client.runningAverage(request);
        print(found.getUserCount(), found.getAgeSum(), found.getAverageAge());
      }
      return true;
    });
  }

  private void print(long userCount, long ageSum, double average) {
    out.printf("%d users, average age %.2f%n", userCount, average);
    report.put("user_count", userCount);
    report.put("age_sum", ageSum);
  }

  private static String json(Object value) {
    if (value instanceof Map<?, ?> map) {
      return map.entrySet().stream()
          .map(entry -> json(entry.getKey()) + ": " + json(entry.getValue()))
          .collect(Collectors.joining(", ", "{", "}"));
    }
    if (value instanceof Number) return value.toString();
    StringBuilder quoted = new StringBuilder("\"");
    for (char c : value.toString().toCharArray()) {
      quoted.append(c < 0x20 || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
    }
    return quoted.append('"').toString();
  }
}
