"""The commands of the pipeline of 2017, each with the flags, folders, messages and files that scripts know.

`align_dlib` is OpenFace's align-dlib.py, `retrain` TensorFlow's retrain.py; `label_image`, `png_to_jpeg`, `move_image`
and `scheduler` are the pipeline's own. docs/compat.md has every difference from the originals.
"""
