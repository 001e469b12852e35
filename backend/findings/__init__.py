"""What an analyser can say about a video: detections, tracks, incidents and the score made of them.

Pure types without behaviour beyond their own arithmetic, shared by the domains that store and
show findings and by the analysers that make them. Times are seconds from the start of the analysed
video; boxes are pixels of the source picture.
"""
