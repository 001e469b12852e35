"""Measurements beside a named yardstick in the same run; figures are ratios first."""
