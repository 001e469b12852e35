"""The demo camera's scene and its detector: everything behind a camera whose source is `demo:`.

Nothing here runs in the product: it was run ahead of time, and what it made lies in `assets/`
(the clip that the demo camera loops, what is in each of its pictures, the detector's weights and
its measured figures).

Read top-down: `scene` (the clip) <- `script` (who does what, when) <- `render` (one picture and
its boxes) <- `backdrop`, `props`, `people`, `vehicles` (how things look) <- `motion`, `camera`,
`drawing`. `samples` makes random pictures of the same place, `train` trains on them, `measure`
counts on the clip.
"""
