"""What is generated from userstream's protobuf files; the import path is the proto package."""
