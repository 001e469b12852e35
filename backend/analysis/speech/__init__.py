"""Speech analysis of one video: what was said, when, by whom, how loud and how high.

    protocol     what an analysis is asked and answers; the stages and their progress bands
    audio        any container and codec -> 16 kHz mono on disk, read in blocks
    activity     where somebody speaks
    speakers/    who speaks, behind a small protocol     transcription/  what is said, likewise
    prosody      loudness and pitch of each word
    assembly     words and turns -> utterances           analyser        one pass through the stages

Runs in an analysis child: libraries hold the GIL, and a broken model may crash the process.
"""
