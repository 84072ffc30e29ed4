# Reads and prints the figures of one attempt; stderr as in users.jq. The answer of AverageAge is final: it has no token.
foreach inputs as $message (
  $state;
  {
    token: ($message.resumeToken // ""),
    done: ($message.final // ($message | has("resumeToken") | not)),
    user_count: ($message.userCount // 0 | tonumber),
    age_sum: ($message.ageSum // 0 | tonumber)
  };
  (debug | empty), "\(.user_count) users, average age \($message.averageAge // "unknown")", ("printed" | debug | empty)
)
