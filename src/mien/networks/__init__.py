"""Files of networks as bytes: ONNX written, read and checked before anything opens them, OpenVINO's IR converted."""
