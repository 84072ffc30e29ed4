# Sourced by users.sh: when to call again, and after how long. docs/clients.md as code.
# Sets code, message, reason, retry_us and violations from what `buf curl` wrote, and keeps count of the attempts.

attempts_max=15
first_backoff_us=100000
backoff_us_max=5000000
deadline_us=""
failed=0

now_us() { echo "${EPOCHREALTIME/./}"; }

# us SECONDS: as whole microseconds
us() { awk -v seconds="$1" 'BEGIN { printf "%.0f", seconds * 1000000 }'; }

# seconds MICROSECONDS
seconds() { awk -v us="$1" 'BEGIN { printf "%.6f", us / 1000000 }'; }

# remaining_us: what is left of the caller's own limit; nothing without one
remaining_us() {
    if [ -n "$deadline_us" ]; then echo $((deadline_us > $(now_us) ? deadline_us - $(now_us) : 1)); fi
}

# read_failure FILE: buf writes the status as JSON
read_failure() {
    code=UNKNOWN message=$(head -c 500 "$1") reason="" retry_us="" violations="{}"
    if ! jq -e .code "$1" >/dev/null 2>&1; then return; fi
    code=$(jq -r '.code | ascii_upcase | if . == "CANCELED" then "CANCELLED" else . end' "$1")
    message=$(jq -r '.message // ""' "$1")
    reason=$(detail "$1" ErrorInfo | jq -r '.reason // ""')
    violations=$(detail "$1" BadRequest | jq -c '[.fieldViolations[]? | {(.field): .description}] | add // {}')
    retry_us=$(detail "$1" RetryInfo | jq -r 'if . == null then "" else .retryDelay // "0s" | rtrimstr("s") end')
    if [ -n "$retry_us" ]; then retry_us=$(us "$retry_us"); fi
}

# detail FILE TYPE: one of the error's details as JSON, null if it is not there
detail() {
    local value
    value=$(jq -r --arg type "google.rpc.$2" 'first(.details[]? | select(.type == $type) | .value + "==") // ""' "$1")
    if [ -z "$value" ]; then
        if jq -e --arg type "google.rpc.$2" 'any(.details[]?; .type == $type)' "$1" >/dev/null; then echo '{}'; else echo null; fi
        return
    fi
    base64 --decode --ignore-garbage 2>/dev/null <<<"$value" |
        buf convert "$here/details" --type "google.rpc.$2" --from '-#format=binpb' --to '-#format=json'
}

# calls_again: whether another call may succeed. The text decides nothing: every library has its own.
calls_again() {
    case $code in
        UNAVAILABLE | ABORTED | DEADLINE_EXCEEDED) return 0 ;;
        RESOURCE_EXHAUSTED) [ -z "$reason" ] || [ -n "$retry_us" ] ;;
        INTERNAL | UNKNOWN | CANCELLED) [ -z "$reason" ] ;;
        *) return 1 ;;
    esac
}

# wait_after_failure: returns 1 if there must be no further attempt
wait_after_failure() {
    failed=$((failed + 1))
    if ! calls_again || ((failed >= attempts_max)); then return 1; fi
    local longest=$((first_backoff_us << (failed - 1))) wait left
    if ((longest > backoff_us_max)); then longest=$backoff_us_max; fi
    wait=$((longest * RANDOM / 32767 + ${retry_us:-0}))
    left=$(remaining_us)
    if [ -n "$left" ] && ((wait >= left)); then
        code=DEADLINE_EXCEEDED reason="" message="the time limit is over; before: $message"
        return 1
    fi
    echo "calling again in $(seconds "$wait") s after $code: $message" >&2
    sleep "$(seconds "$wait")"
}
