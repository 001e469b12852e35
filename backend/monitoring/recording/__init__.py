"""What is recorded of a camera: live HLS, archive segments, gaps, and how long they are kept."""
