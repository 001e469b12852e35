"""From tracks to incidents: one pure function per category, all thresholds in one place.

settings      the thresholds, documented
judge         all rules over one video, repeated incidents merged
evidence      how confidence and evidence are made, for all rules alike
falls  near_misses  running  loitering  crowding  obstruction
"""
