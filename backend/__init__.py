"""VAP, a self-hosted video analytics server.

A main process that never analyses and workers that never serve, joined by one job table.

Imports go downwards only; `make check` holds it:

    program                     run.py: options, refusals, exit codes
    main | worker | tables      composition roots: wire everything
    operations                  health, metrics, event stream: read across the domains
    monitoring | speech         cameras, archives, incidents; videos that are listened to
    jobs | analysis             the one queue; the analysers (neither knows the other)
    events                      the outbox: what happened, in the transaction of its cause
    callbacks | media | findings
                                who is told; ffmpeg, video files, downloads; pure result types
    kernel                      database, lifecycle, errors, http, clock: no product word in here
    settings                    the only reader of the environment
"""
