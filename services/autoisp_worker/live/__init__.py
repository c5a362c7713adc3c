"""Live evaluation: frames are developed and judged as they come."""
