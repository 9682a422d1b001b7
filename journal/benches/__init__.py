"""Measurements that a user can repeat: ratios to a floor measured in the same run, as machines differ."""
