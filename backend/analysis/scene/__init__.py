"""A whole archive: what moved, who was seen, what happened.

local     the analyser of that name: puts the parts below together
video     a file -> sampled pictures with times that can be trusted
motion    is there anything to look at; is the camera covered
gate      which pictures are worth a detection
tracking  detections -> tracks
tracks    what a track is, and its arithmetic
rules/    tracks -> incidents, one pure function per category, and their thresholds
"""
