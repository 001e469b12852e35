"""The one queue: rows of `analysis_jobs`, claimed by workers under a lease and fenced by attempt.

It knows no analyser: a worker hands it `JobKind`s, each with a function that does the work.
"""
