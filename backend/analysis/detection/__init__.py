"""Objects in one picture: from the name of some weights to boxes with classes.

detector         the protocol: a picture in, detections out
loading          weights -> detector, one per weights and device in a process
weights          which file a name means; formats, fingerprints
conversion       .pt -> OpenVINO, and fetching the default weights, in a process of their own
runtimes         OpenVINO, onnxruntime: tensor in, tensors out
letterbox        picture -> tensor, and boxes back
decoding         tensors of the YOLO families -> boxes
tensor_detector  the three above as a detector: the way on a CPU, without torch
cuda_detector    ultralytics' own way, for CUDA devices and TensorRT engines
torchvision_ops  lets ultralytics run where torchvision's own operators do not load
"""
