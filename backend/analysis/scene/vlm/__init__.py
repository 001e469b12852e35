"""Scene analysis by a vision-language model: windows of an archive, one question each, one report.

    model                 what any such model is to this package, and how it says no
    gemini, openai_compatible   the two protocols; transport and faults are shared by both
    windows -> prompt -> asking -> answers    each window: asked until its answer can be used
    together -> merge -> report               all of them: one text-only question, one result
    analyser              puts these together     price      what an answer costs

Runs in the worker's own process: it waits for an API and computes nothing. Motion and tracks come
from the `local` analyser's pass, done before in an analysis child.
"""
