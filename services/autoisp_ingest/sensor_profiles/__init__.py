"""Sensor profiles: what is known of cameras' sensors, in versions that never change."""
