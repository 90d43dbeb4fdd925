"""Benchmarks: every figure the product claims, measured on the installed product."""
