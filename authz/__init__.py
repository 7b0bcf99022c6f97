"""The decision point: policies as data, one evaluator, a registry, a durable log, a gRPC service."""
