"""What was understood of the archives: reports, scores, costs, and who understands them.

`handlers` is the worker's side; everything else serves both programs.
"""
