# Reads the messages of one attempt, checks them and prints their users. stderr gets two lines a message, as `debug`
# writes them: the state of the scan before the users are printed, and "printed" afterwards.
#   $state  where the scan stands; $limit  the most users, 0 for all
def ascending($last): . as $ids | .[0] > $last and all(range(1; length); $ids[.] > $ids[. - 1]);
def distinct($last): .[0] != $last and (unique | length) == length;
def fault($before; $ids):
  if $before.receipt then "a message came after the receipt"
  elif $limit > 0 and $before.count + ($ids | length) > $limit then "more users came than the limit"
  elif $ids == [] then null
  # Strings compare by code point, which is the order of their UTF-8 bytes.
  elif .keyOrder == "KEY_ORDER_COLLATION" and ($ids | distinct($before.last)) then null
  elif .keyOrder != "KEY_ORDER_COLLATION" and ($ids | ascending($before.last)) then null
  else "a user came out of order, or twice"
  end;

foreach inputs as $message (
  $state;
  . as $before | [$message.users[]?.userId] as $ids | ($message | fault($before; $ids)) as $fault |
  if $fault then .fault = $fault
  else
    .token = ($message.resumeToken // $message.nextPageToken // if .pages then "" else .token end)
    | .count += ($ids | length) | .last = ($ids[-1] // .last) | .receipt = $message.receipt
    | .resumes += .resumed_now | .resumed_now = 0
    | .done = ($message.receipt != null or ($limit > 0 and .count == $limit))
  end;
  (debug | empty),
  if .fault then halt else ([$message.users[]? | "\(.userId)\t\(.age // 0)"] | if . == [] then empty else join("\n") end) end,
  ("printed" | debug | empty)
)
