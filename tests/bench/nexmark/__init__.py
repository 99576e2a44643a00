"""Nexmark: an auction house as three streams, and its queries q0 to q23 in the Flink dialect.

Source: P. Tucker, K. Tufte, V. Papadimos, D. Maier, "NEXMark – A Benchmark for Queries over Data Streams" (2002), with
the later queries of https://github.com/nexmark/nexmark; the data is drawn anew here.
"""
