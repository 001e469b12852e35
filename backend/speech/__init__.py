"""The speech API for the ECG backend, and the receiving side of its callbacks.

A request becomes a row and a job of kind `speech`; workers download the video and listen to it
(`handlers`); every step is called back through `backend.callbacks`. With no BACKEND_URL the product
calls itself: `results` is that side.
"""
