"""What a process tells of itself: spans to an OpenTelemetry collector, metrics to Prometheus."""
