"""Version 1 of the API: messages in `user_service_pb2`, stubs in `user_service_pb2_grpc`."""
