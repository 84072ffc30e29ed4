#!/usr/bin/env bash
# Build .build/users. GRPC_JARS is the folder with the libraries, GRPC_JNI the one with Netty's OpenSSL.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
mkdir -p .build/sources .build/classes .build/jni
plugin=$(command -v grpc_java_plugin)
protoc -I ../../protos --java_out=.build/sources --grpc_out=.build/sources --plugin=protoc-gen-grpc="$plugin" userstream/v1/user_service.proto
protoc -I . --java_out=.build/sources error_details.proto
jars="${GRPC_JARS:-/usr/share/java}/*"
find .build/sources src -name '*.java' >.build/list
javac -nowarn -proc:none -d .build/classes -cp "$jars" @.build/list
# Debian's Netty has TLS for HTTP/2 only by OpenSSL, and looks for it under another name than Debian's package gives it.
jni=${GRPC_JNI:-/usr/lib/$(uname -m)-linux-gnu/jni}
if [ -f "$jni/libnetty-tcnative.so" ]; then cp "$jni/libnetty-tcnative.so" .build/jni/libnetty_tcnative.so; fi
cat >.build/users <<END
#!/bin/sh
export LD_LIBRARY_PATH="$(dirname "$jni")"
exec java -Djava.library.path="$PWD/.build/jni" -cp "$PWD/.build/classes:$jars" example.Users "\$@"
END
chmod +x .build/users
