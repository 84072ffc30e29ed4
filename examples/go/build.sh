#!/usr/bin/env bash
# Build .build/users with Go's libraries from GOPATH, where Debian's packages put them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
mkdir -p .build/gopath/src
protoc -I ../../protos --go_out=.build/gopath/src --go-grpc_out=.build/gopath/src userstream/v1/user_service.proto
export GO111MODULE=off GOPATH="$PWD/.build/gopath:${GOPATH:-/usr/share/gocode}"
go build -o .build/users .
