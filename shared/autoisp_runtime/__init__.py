"""Process glue of every service: configuration, logging, gRPC, JetStream, databases, artifacts, lifecycle."""
