"""The worker's side of scene analysis, wired by `backend.worker`.

    scene      a job of kind `scene`: one archive, by whoever the camera has chosen
    trials     tries of a backend and of a prompt
    archive    makes sure of the file            local_pass  motion, objects and rules, in a child
    model_pass windows for a model               guarded     breaker and budget in front of it
    shelf      the models that are set up        snapshots   a picture of each incident

Nothing here decodes or infers: children and ffmpeg do.
"""
