"""Tests of services.http."""
