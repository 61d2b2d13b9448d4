"""Evaluation: samples, scorers, runs, gates, reports; the nightly job."""
