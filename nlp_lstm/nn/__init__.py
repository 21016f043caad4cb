"""Networks: tensors in, tensors out. Nothing here sees text or files."""
