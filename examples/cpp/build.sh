#!/usr/bin/env bash
# Build .build/users. GRPC_FLAGS replaces what pkg-config says about grpc++.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
mkdir -p .build
plugin=$(command -v grpc_cpp_plugin)
protoc -I ../../protos --cpp_out=.build --grpc_out=.build --plugin=protoc-gen-grpc="$plugin" userstream/v1/user_service.proto
protoc -I . --cpp_out=.build error_details.proto
flags=${GRPC_FLAGS:-$(pkg-config --cflags --libs grpc++ protobuf)}
generated=(.build/error_details.pb.cc .build/userstream/v1/user_service.pb.cc .build/userstream/v1/user_service.grpc.pb.cc)
# The proto's own code takes most of the time, so it is compiled only when the proto has changed.
for source in "${generated[@]}"; do
    object=${source%.cc}.o
    if cmp -s "$source" "$object.of"; then continue; fi
    # shellcheck disable=SC2086  # flags are words
    "${CXX:-c++}" -std=c++17 -O1 -I.build -c "$source" -o "$object" $flags
    cp "$source" "$object.of"
done
# shellcheck disable=SC2086
"${CXX:-c++}" -std=c++17 -O2 -Wall -Wextra -I.build users.cpp "${generated[@]/%.cc/.o}" -o .build/users $flags -lz -pthread
