#!/usr/bin/env bash
# Read users with buf curl: users.sh CALL [options of examples/README.md]
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/call_again.sh"

call=${1:-} name_prefix="" age_over="" limit=0 size=0 message_timeout=60 cancel_after=0
state='{"token": "", "count": 0, "last": "", "resumes": 0, "resumed_now": 0}'
result="" crc="" messages_taken=0 buf_pid=""
tmp=$(mktemp -d)
trap 'stop_attempt; rm -rf "$tmp"' EXIT

main() {
    parse "$@"
    start_crc
    case $call in
        stream) read_scan StreamUsers users.jq "the stream ended without its receipt: users may be missing" ;;
        batches) read_scan BatchUsers users.jq "the stream ended without its receipt: users may be missing" ;;
        average) read_scan AverageAge average.jq "there was no answer" ;;
        running-average) read_scan StreamAverageAge average.jq "the final figures never came" ;;
        pages) read_pages ;;
        *) usage ;;
    esac
    report
}

usage() {
    echo "usage: users.sh stream|batches|pages|average|running-average [options of examples/README.md]" >&2
    exit 2
}

parse() {
    while (($# > 1)); do
        if [[ $2 == --*=* ]]; then set -- "$1" "${2%%=*}" "${2#*=}" "${@:3}"; fi
        case $2 in
            --name-prefix) name_prefix=$3 ;;
            --age-over) age_over=$3 ;;
            --limit) limit=$3 ;;
            --size) size=$3 ;;
            --timeout) deadline_us=$(($(now_us) + $(us "$3"))) ;;
            --message-timeout) message_timeout=$3 ;;
            --backoff-max) backoff_us_max=$(us "$3") ;;
            --cancel-after) cancel_after=$3 ;;
            *) usage ;;
        esac
        shift 2 || usage
    done
    (($# == 1)) || usage
}

# request: the same in every attempt, but for where to continue
request() {
    jq -nc --arg prefix "$name_prefix" --arg age "$age_over" --argjson limit "$limit" --argjson size "$size" \
        --arg call "$call" --argjson state "$state" '
        {filter: ({namePrefix: $prefix} + if $age == "" then {} else {ageOver: $age} end)}
        + if $call == "stream" then {limit: $limit, resumeToken: $state.token}
          elif $call == "batches" then {limit: $limit, batchSize: $size, resumeToken: $state.token}
          elif $call == "pages" then {pageSize: $size, pageLimit: 1, pageToken: $state.token}
          elif $call == "running-average" then {resumeToken: $state.token}
          else {} end'
}

# options: how to reach the server, one argument a line
options() {
    local left
    left=$(remaining_us)
    printf '%s\n' --schema "$here/../../protos" --protocol grpc --timeout "${left:-0}us"
    if [ -n "${USERSTREAM_TLS_CA:-}" ]; then printf '%s\n' --cacert "$USERSTREAM_TLS_CA"; else echo --http2-prior-knowledge; fi
    # In a file, because everyone on the machine can read a command line.
    if [ -n "${USERSTREAM_TOKEN:-}" ]; then
        echo "authorization: Bearer $USERSTREAM_TOKEN" >"$tmp/headers"
        printf '%s\n' --header "@$tmp/headers"
    fi
}

# start_attempt METHOD FILTER: users go to stdout, and their ids to the CRC-32; the descriptor `control` brings the state
# before a message is printed, and a line more afterwards.
start_attempt() {
    local url=http://${USERSTREAM_TARGET:-127.0.0.1:50051}/userstream.v1.UserService/$1 arguments
    if [ -n "${USERSTREAM_TLS_CA:-}" ]; then url=https${url#http}; fi
    mapfile -t arguments < <(options)
    rm -f "$tmp/json" "$tmp/control"
    mkfifo "$tmp/json" "$tmp/control"
    buf curl "${arguments[@]}" --data "$(request)" "$url" >"$tmp/json" 2>"$tmp/error" {ids}>&- &
    buf_pid=$!
    jq -n --unbuffered -r --argjson state "$state" --argjson limit "$limit" -f "$here/$2" <"$tmp/json" 2>"$tmp/control" |
        tee >(cut -f 1 | tr -d '\n' >&"$ids") &
    jq_pid=$!
    exec {control}<"$tmp/control"
}

# end_attempt: wait for all that came to be printed; return buf's exit code
end_attempt() {
    local status=0
    wait "$buf_pid" 2>/dev/null || status=$?
    wait "$jq_pid"
    buf_pid=""
    exec {control}<&-
    return "$status"
}

stop_attempt() {
    if [ -z "$buf_pid" ]; then return; fi
    kill "$buf_pid" 2>/dev/null
    end_attempt
}

# attempt METHOD FILTER: returns 0 if it ended OK or `result` is set; else the failure is read
attempt() {
    local line status=0
    start_attempt "$1" "$2"
    while true; do
        IFS= read -r -t "$message_timeout" -u "$control" line || status=$?
        if ((status)); then break; fi
        # What `debug` of jq adds. Other lines are complaints about a message that broke off.
        if [[ $line != '["DEBUG:",{'* ]]; then continue; fi
        line=${line#'["DEBUG:",'}
        failed=0 state=${line%]} messages_taken=$((messages_taken + 1))
        if [[ $line == *'"fault":'* ]]; then wrong "$(get .fault)"; fi
        # A consumer that is slow to read stdout is no silence of the server.
        IFS= read -r -u "$control" line
        if ((messages_taken == cancel_after)); then result=cancelled; fi
        if [ -n "$result" ]; then stop_attempt; fi
        if [ -n "$result" ]; then return 0; fi
    done
    if ((status > 128)); then
        stop_attempt
        code=DEADLINE_EXCEEDED message="no message came for $message_timeout s" reason="" retry_us="" violations="{}"
        return 1
    fi
    end_attempt || { read_failure "$tmp/error" && return 1; }
}

# call_until_done METHOD FILTER: make attempts until one ends OK, nothing is missing, or there must be no further one
call_until_done() {
    failed=0
    while true; do
        state=$(jq -c '.resumed_now = if .token == "" then 0 else 1 end' <<<"$state")
        if attempt "$1" "$2" || [ "$(get .done)" = true ]; then return; fi
        if ! wait_after_failure; then
            result=status
            return
        fi
    done
}

# wrong TEXT: the answer is not what the service promises; calling again would hide it
wrong() { result=integrity message=$1; }

# get FIELD: of the state
get() { jq -r "$1 // empty" <<<"$state"; }

# read_scan METHOD FILTER TEXT: TEXT says what is wrong if it ends too early
read_scan() {
    call_until_done "$1" "$2"
    if [ -n "$result" ]; then return; fi
    if [ "$(get .done)" != true ]; then
        wrong "$3"
        return
    fi
    result=complete
    if [ -n "$(get .receipt)" ]; then check_receipt; fi
}

check_receipt() {
    end_crc
    local text
    text=$(jq -r --argjson crc "$crc" '.receipt as $receipt |
        if ($receipt.userCount // 0 | tonumber) != .count or ($receipt.userIdCrc32 // 0) != $crc
        then "the receipt'\''s count or CRC-32 is not that of the users received"
        elif $receipt.consistency != "CONSISTENCY_LIVE" then "the receipt names another consistency than was requested"
        elif ($receipt.resumedCount // 0) < .resumes then "the receipt counts fewer resumes than there were"
        else "" end' <<<"$state")
    if [ -n "$text" ]; then wrong "$text"; fi
}

read_pages() {
    local before
    state=$(jq -c '.pages = true' <<<"$state")
    while [ -z "$result" ]; do
        before=$messages_taken
        call_until_done Paginate users.jq
        if [ -n "$result" ]; then return; fi
        if ((messages_taken != before + 1)); then
            wrong "the answer is not one page"
        elif [ -z "$(get .token)" ]; then
            result=complete
        fi
    done
}

# start_crc: gzip ends with the CRC-32 of all that is written to the descriptor `ids`
start_crc() {
    mkfifo "$tmp/ids"
    gzip -1c <"$tmp/ids" | tail -c 8 >"$tmp/crc" &
    crc_pid=$!
    exec {ids}>"$tmp/ids"
}

# end_crc: sets crc
end_crc() {
    if [ -n "$crc" ]; then return; fi
    exec {ids}>&-
    wait "$crc_pid"
    crc=$(od -An -tu4 -N4 "$tmp/crc" | tr -d ' ')
}

report() {
    end_crc
    jq -nc --arg call "$call" --arg result "$result" --arg code "${code:-}" --arg reason "${reason:-}" \
        --arg message "${message:-}" --argjson violations "${violations:-null}" --argjson crc "$crc" --argjson state "$state" '
        if ($call | endswith("average")) then $state | {user_count, age_sum} | if $result == "complete" then . else {} end
        else {user_count: $state.count, user_id_crc32: $crc, resumed_count: ($state.receipt.resumedCount // 0)} end
        + {result: $result}
        + if $result == "status" then {code: $code, reason: $reason, message: $message, field_violations: $violations}
          elif $result == "integrity" then {message: $message} else {} end' >&2
    [ "$result" = complete ] || [ "$result" = cancelled ]
}

main "$@"
