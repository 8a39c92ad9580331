"""What is sent: tensors, files, sequences, and requests made of them."""
