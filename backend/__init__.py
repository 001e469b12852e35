"""VAP, a self-hosted video analytics server.

A main process that never analyses and workers that never serve, joined by one job table.

Imports go downwards only; `make check` holds it:

    main | worker | tables      composition roots: wire everything; nobody imports them
    operations                  health, metrics, event stream: read across the domains
    monitoring                  cameras, live view, archives, scene analysis of each archive
    jobs | analysis             the one queue; the analysers (neither knows the other)
    events                      the outbox: what happened, in the transaction of its cause
    media | findings            ffmpeg and video files; pure result types
    kernel                      database, lifecycle, errors, http, clock: no product word in here
    settings                    the only reader of the environment
"""
