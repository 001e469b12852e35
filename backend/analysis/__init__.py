"""Analysers: a video in, a result out. They know no queue, no web and no database.

    protocol     what an analyser is asked and what it answers
    registry     name -> analyser
    environment  what keeps the libraries quiet, safe and on one thread
    child        the process that holds the models (`python -m backend.analysis.child`)
    pool         the worker's side of it: requests, progress, cancel, respawn
    detection/   objects in one picture: weights, runtimes, decoding
    scene/       a whole archive: motion, detection, tracks, rules, incidents
    fakes        an analyser without a model, for tests of the worker

Started by a worker process; nothing here is imported by the main process.
"""
