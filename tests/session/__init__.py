"""The public face: sessions, results, jobs, live queries."""
