"""Tests of the observers: a collector of their own, and Prometheus' own reader."""
