"""The module's old name, which some QA files still import."""

from tritonclient.grpc import *  # noqa: F401,F403
from tritonclient.grpc import service_pb2 as grpc_service_pb2  # noqa: F401
from tritonclient.grpc import service_pb2_grpc as grpc_service_pb2_grpc  # noqa: F401
